class Nixnfsd < Formula
  desc "Real, writable /nix that the system mounts from a directory of yours"
  homepage "https://github.com/nixnfsd/nixnfsd"
  version "1.2.3"
  license "Apache-2.0"

  on_macos do
    depends_on macos: :monterey # which Go 1.26 needs

    on_arm do
      url "https://github.com/nixnfsd/nixnfsd/releases/download/v1.2.3/nixnfsd-v1.2.3-darwin-arm64.tar.gz"
      sha256 "d8ec7f9df22bd6df302ae12cf070e6c74ba46beae12a88a7c7a92a7b37d9efc7"
    end
    on_intel do
      url "https://github.com/nixnfsd/nixnfsd/releases/download/v1.2.3/nixnfsd-v1.2.3-darwin-amd64.tar.gz"
      sha256 "168469c1e5f083083019f7e67f3e4000bec74b0ba9723030091b054ed38ef638"
    end
  end

  on_linux do
    on_arm do
      url "https://github.com/nixnfsd/nixnfsd/releases/download/v1.2.3/nixnfsd-v1.2.3-linux-arm64.tar.gz"
      sha256 "1de3a23ff182649af2eb29330a2241429dc5e782e38b340bbb8e7dba95de9de9"
    end
    on_intel do
      url "https://github.com/nixnfsd/nixnfsd/releases/download/v1.2.3/nixnfsd-v1.2.3-linux-amd64.tar.gz"
      sha256 "315a8817d0199e3c8c8cace93d59bd70593b2b6c5b0b9dde33f1f340d59ff541"
    end
  end

  def install
    bin.install "nixnfsd"
    bash_completion.install "completions/nixnfsd.bash" => "nixnfsd"
    zsh_completion.install "completions/_nixnfsd"
    fish_completion.install "completions/nixnfsd.fish"
    man1.install Dir["man/*.1"]
    prefix.install "THIRD-PARTY"
  end

  # There is no service block: root's part cannot be brew's, and "setup" takes both parts back again.
  def caveats
    <<~EOS
      Nothing is set up yet. This shows what would be done, and does it:
        nixnfsd setup --dry-run
        nixnfsd setup
      After an upgrade, which leaves the running server alone:
        nixnfsd restart
        nixnfsd setup
      Before "brew uninstall nixnfsd":
        nixnfsd uninstall
    EOS
  end

  test do
    assert_match "nixnfsd v#{version} ", shell_output("#{bin}/nixnfsd version")
    assert_match "problem", shell_output("#{bin}/nixnfsd check --listen 127.0.0.1:#{free_port} 2>&1", 4)
  end
end
