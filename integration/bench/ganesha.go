package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// What ganesha needs of the machine, in the namespaces of this run; see alone.
const (
	ganeshaProgram = "ganesha.nfsd"
	rpcbindProgram = "rpcbind"

	ganeshaNFS = "127.0.0.1:2049"
	ganeshaMnt = "127.0.0.1:20048"
)

// ganeshaConfig serves one directory over NFSv3. VFS is what serves a directory by its
// kernel's file handles.
const ganeshaConfig = `NFS_CORE_PARAM {
	NFS_Protocols = 3; NFS_Port = 2049; MNT_Port = 20048; Rquota_Port = 20875;
	Enable_NLM = false; Enable_RQUOTA = false; mount_path_pseudo = false;
}
NFSV4 { RecoveryRoot = %[2]s; Graceless = true; }
EXPORT {
	Export_Id = 1; Path = %[1]s; Pseudo = %[1]s; Access_Type = RW; Squash = No_Root_Squash;
	Protocols = 3; Transports = TCP; SecType = sys; PrivilegedPort = false;
	FSAL { Name = VFS; }
}
LOG { Default_Log_Level = CRIT; }
`

// lacksGanesha says why there can be no ganesha on this machine, or "".
func lacksGanesha(lookPath func(string) (string, error)) string {
	for _, program := range []string{ganeshaProgram, rpcbindProgram} {
		if _, err := lookPath(program); err != nil {
			return program + " is not installed (Debian: nfs-ganesha, nfs-ganesha-vfs and rpcbind)"
		}
	}
	if os.Getenv(envAlone) == "" {
		return "it takes root and Linux: rpcbind runs in namespaces of its own"
	}
	return ""
}

// startGanesha starts ganesha, which answers some seconds later.
func startGanesha(ctx context.Context, b *bench, p *place) (*server, error) {
	dir := filepath.Join(p.dir, "ganesha")
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
		return nil, err
	}
	config, log := filepath.Join(dir, "config"), filepath.Join(dir, "log")
	if err := os.WriteFile(config, fmt.Appendf(nil, ganeshaConfig, p.plain(), dir), 0o600); err != nil {
		return nil, err
	}
	cmd := command(ctx, b.log, ganeshaProgram, "-F", "-f", config, "-L", log, "-p", filepath.Join(dir, "pid"))
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{cmd: cmd, nfs: ganeshaNFS, mnt: ganeshaMnt, export: p.plain()}
	if err := await(ctx, s); err != nil {
		s.stop()
		return nil, fmt.Errorf("%w: see %s", err, log)
	}
	return s, nil
}

// await waits until a server lets itself be mounted.
func await(ctx context.Context, s *server) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	c := &contender{srv: s}
	for {
		err := c.connect()
		if err == nil {
			c.link.close()
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// startRpcbind starts what ganesha announces itself to.
func startRpcbind(ctx context.Context, log io.Writer) (*exec.Cmd, error) {
	cmd := command(ctx, log, rpcbindProgram, "-f", "-w")
	return cmd, cmd.Start()
}
