# Three derivations, each built with the one before: a shell, a text, a program.
let
  build = name: script: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-euc" script ];
    PATH = "/usr/bin:/bin";
  };
  shell = build "shell" ''
    mkdir -p $out/bin
    cp /bin/busybox $out/bin/
    ln -s busybox $out/bin/sh
    ln -s busybox $out/bin/cat
  '';
  text = build "text" ''
    ${shell}/bin/sh -c 'echo "Hello from a /nix that nixnfsd serves."' >$out
  '';
in
build "hello" ''
  mkdir -p $out/bin
  printf '#!%s\n%s %s\n' ${shell}/bin/sh ${shell}/bin/cat ${text} >$out/bin/hello
  chmod +x $out/bin/hello
''
