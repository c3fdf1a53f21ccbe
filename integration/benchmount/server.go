package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nixnfsd/nixnfsd/integration/uml/spec"
)

// startNixnfsd starts nixnfsd as the ordinary user, with nothing but its directories said.
func startNixnfsd(ctx context.Context, _ *guest, c *contender) error {
	program := os.Getenv(envProgram)
	c.comm = program[:min(len(program), 15)] // all that ps shows
	return daemon(ctx, user, program, "serve",
		"--upper", c.export(), "--state", filepath.Join(c.disk(), "state"), "--listen", fmt.Sprint("127.0.0.1:", c.nfs))
}

// startRpcbind starts what the other servers announce themselves to.
func (g *guest) startRpcbind(ctx context.Context) error {
	if g.rpcbind {
		return nil
	}
	g.rpcbind = true
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return err
	}
	const account = "_rpc:x:104:65534::/run/rpcbind:/usr/sbin/nologin\n"
	if err := os.WriteFile("/etc/passwd", append(passwd, account...), 0o644); err != nil {
		return err
	}
	if err := os.MkdirAll("/run/rpcbind", 0o755); err != nil {
		return err
	}
	return command(ctx, "rpcbind", "-w")
}

// startKnfsd has the kernel's server export one more directory. The first starts it, with
// as many threads as are usual.
func startKnfsd(ctx context.Context, g *guest, c *contender) error {
	if err := g.startRpcbind(ctx); err != nil {
		return err
	}
	if !g.knfsd {
		g.knfsd = true
		if err := os.WriteFile("/etc/exports", nil, 0o644); err != nil { // exportfs wants one
			return err
		}
		steps := [][]string{
			{"modprobe", "nfsd"},
			{"mount", "-t", "nfsd", "nfsd", "/proc/fs/nfsd"},
			{"rpc.mountd", "--port", fmt.Sprint(c.mnt), "--no-udp"},
			{"rpc.nfsd", "--no-nfs-version", "4", "--nfs-version", "3", "--no-udp", "--port", fmt.Sprint(c.nfs), "8"},
		}
		for _, s := range steps {
			if err := command(ctx, s[0], s[1:]...); err != nil {
				return err
			}
		}
	}
	// By a number of its own: without udev nobody knows the file system's UUID.
	g.exports++
	options := fmt.Sprintf("rw,no_root_squash,insecure,no_subtree_check,%s,fsid=%d", c.exportPolicy, g.exports)
	return command(ctx, "exportfs", "-o", options, "127.0.0.1:"+c.export())
}

// ganeshaConfig serves one directory over NFSv3. VFS is the back end that serves a directory by
// its kernel's file handles.
const ganeshaConfig = `NFS_CORE_PARAM {
	NFS_Protocols = 3; NFS_Port = %d; MNT_Port = %d; Rquota_Port = 20875;
	Enable_NLM = false; Enable_RQUOTA = false; mount_path_pseudo = false;
}
NFSV4 { Graceless = true; }
EXPORT {
	Export_Id = 1; Path = %[3]s; Pseudo = %[3]s; Access_Type = RW; Squash = No_Root_Squash;
	Protocols = 3; Transports = TCP; SecType = sys; PrivilegedPort = false;
	FSAL { Name = VFS; }
}
LOG { Default_Log_Level = CRIT; }
`

func startGanesha(ctx context.Context, g *guest, c *contender) error {
	if err := g.startRpcbind(ctx); err != nil {
		return err
	}
	const config = "/run/ganesha.conf"
	err := errors.Join(
		os.MkdirAll("/run/ganesha", 0o755), os.MkdirAll("/var/lib/nfs/ganesha", 0o755),
		os.WriteFile(config, fmt.Appendf(nil, ganeshaConfig, c.nfs, c.mnt, c.export()), 0o600),
	)
	if err != nil {
		return err
	}
	return daemon(ctx, 0, "ganesha.nfsd", "-F", "-f", config, "-L", filepath.Join(spec.Out, "ganesha.messages"), "-p", "/run/ganesha.pid")
}

// processorTime is what the contender's server has taken of the processor so far, in seconds:
// utime and stime of proc_pid_stat(5), of all that have its name.
func (c *contender) processorTime() float64 {
	if c.nfs == 0 {
		return 0
	}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well-formed
	ticks := 0.0
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		comm, rest, _ := strings.Cut(string(text), ") ")
		if !strings.HasSuffix(comm, "("+c.comm) {
			continue
		}
		if f := strings.Fields(rest); len(f) > 12 {
			ticks += number(f[11]) + number(f[12])
		}
	}
	const perSecond = 100 // USER_HZ
	return ticks / perSecond
}
