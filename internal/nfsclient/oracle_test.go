package nfsclient_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/buildbarn/go-xdr/pkg/protocols/mount"
	"github.com/buildbarn/go-xdr/pkg/protocols/nfsv3"
	"github.com/google/go-cmp/cmp"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

// The codecs that buildbarn/go-xdr generated from RFC 1813's own definitions say
// what the bytes have to be. Each value below stands twice: as they have it (t…)
// and as this package has it (o…).
var (
	tfh   = nfsv3.NfsFh3{Data: []byte("handle")}
	tdir  = nfsv3.NfsFh3{Data: []byte("directory")}
	twhat = nfsv3.Diropargs3{Dir: tdir, Name: "a name"}
	tattr = nfsv3.Fattr3{
		Type: nfsv3.NF3BLK, Mode: 0o4755, Nlink: 3, Uid: 501, Gid: 20, Size: 1 << 40, Used: 1<<40 + 1,
		Rdev: nfsv3.Specdata3{Specdata1: 8, Specdata2: 9}, Fsid: 1<<50 + 2, Fileid: 1<<50 + 3,
		Atime: nfsv3.Nfstime3{Seconds: 11, Nseconds: 12}, Mtime: nfsv3.Nfstime3{Seconds: 13, Nseconds: 14},
		Ctime: nfsv3.Nfstime3{Seconds: 15, Nseconds: 16},
	}
	tpost = &nfsv3.PostOpAttr_TRUE{Attributes: tattr}
	tnone = &nfsv3.PostOpAttr_FALSE{}
	twcc  = nfsv3.WccData{
		Before: &nfsv3.PreOpAttr_TRUE{Attributes: nfsv3.WccAttr{
			Size: 21, Mtime: nfsv3.Nfstime3{Seconds: 22, Nseconds: 23}, Ctime: nfsv3.Nfstime3{Seconds: 24, Nseconds: 25},
		}},
		After: tpost,
	}
	tnowcc = nfsv3.WccData{Before: &nfsv3.PreOpAttr_FALSE{}, After: tnone}
	tverf  = [8]byte{1, 2, 3, 4, 5, 6, 7, 8}
	tset   = nfsv3.Sattr3{
		Mode: &nfsv3.SetMode3_TRUE{Mode: 0o640}, Uid: &nfsv3.SetUid3_TRUE{Uid: 1}, Gid: &nfsv3.SetGid3_TRUE{Gid: 2},
		Size: &nfsv3.SetSize3_TRUE{Size: 1 << 33}, Atime: &nfsv3.SetAtime_default{SetIt: nfsv3.SET_TO_SERVER_TIME},
		Mtime: &nfsv3.SetMtime_SET_TO_CLIENT_TIME{Mtime: nfsv3.Nfstime3{Seconds: 7, Nseconds: 8}},
	}
	tkeep = nfsv3.Sattr3{
		Mode: &nfsv3.SetMode3_default{}, Uid: &nfsv3.SetUid3_default{}, Gid: &nfsv3.SetGid3_default{},
		Size: &nfsv3.SetSize3_default{}, Atime: &nfsv3.SetAtime_default{}, Mtime: &nfsv3.SetMtime_default{},
	}

	ofh, odir = nfsclient.FH("handle"), nfsclient.FH("directory")
	oattr     = nfsclient.Attr{
		Type: nfsclient.Blk, Mode: 0o4755, Nlink: 3, UID: 501, GID: 20, Size: 1 << 40, Used: 1<<40 + 1,
		Major: 8, Minor: 9, FSID: 1<<50 + 2, Fileid: 1<<50 + 3,
		Atime: nfsclient.Time{Sec: 11, Nsec: 12}, Mtime: nfsclient.Time{Sec: 13, Nsec: 14}, Ctime: nfsclient.Time{Sec: 15, Nsec: 16},
	}
	owcc = nfsclient.Wcc{
		Before: &nfsclient.WccAttr{Size: 21, Mtime: nfsclient.Time{Sec: 22, Nsec: 23}, Ctime: nfsclient.Time{Sec: 24, Nsec: 25}},
		After:  &oattr,
	}
	overf = nfsclient.Verf(tverf)
	oset  = nfsclient.SetAttr{
		Mode: new(uint32(0o640)), UID: new(uint32(1)), GID: new(uint32(2)), Size: new(uint64(1 << 33)),
		Atime: nfsclient.SetTime{How: nfsclient.ServerTime},
		Mtime: nfsclient.SetTime{How: nfsclient.ClientTime, Time: nfsclient.Time{Sec: 7, Nsec: 8}},
	}
)

func handleArgs(num uint32) nfsclient.Args {
	return &nfsclient.HandleArgs{P: nfsclient.NFSProc(num), FH: ofh}
}

func nameArgs(num uint32) nfsclient.Args {
	return &nfsclient.NameArgs{P: nfsclient.NFSProc(num), Dir: odir, Name: "a name"}
}

func mknod(what nfsv3.Mknoddata3) *nfsv3.Mknod3args {
	return &nfsv3.Mknod3args{Where: twhat, What: what}
}

func create(how nfsv3.Createhow3) *nfsv3.Create3args {
	return &nfsv3.Create3args{Where: twhat, How: how}
}

func TestArgs(t *testing.T) {
	tt := []struct {
		args nfsclient.Args
		got  io.ReaderFrom
		want any
	}{
		{handleArgs(nfsclient.ProcGetattr), &nfsv3.Getattr3args{}, &nfsv3.Getattr3args{Object: tfh}},
		{
			&nfsclient.SetattrArgs{FH: ofh, Attr: oset, Guard: &nfsclient.Time{Sec: 5, Nsec: 6}},
			&nfsv3.Setattr3args{},
			&nfsv3.Setattr3args{
				Object: tfh, NewAttributes: tset,
				Guard: &nfsv3.Sattrguard3_TRUE{ObjCtime: nfsv3.Nfstime3{Seconds: 5, Nseconds: 6}},
			},
		},
		{
			&nfsclient.SetattrArgs{FH: ofh},
			&nfsv3.Setattr3args{},
			&nfsv3.Setattr3args{Object: tfh, NewAttributes: tkeep, Guard: &nfsv3.Sattrguard3_FALSE{}},
		},
		{nameArgs(nfsclient.ProcLookup), &nfsv3.Lookup3args{}, &nfsv3.Lookup3args{What: twhat}},
		{&nfsclient.AccessArgs{FH: ofh, Access: 0x3f}, &nfsv3.Access3args{}, &nfsv3.Access3args{Object: tfh, Access: 0x3f}},
		{handleArgs(nfsclient.ProcReadlink), &nfsv3.Readlink3args{}, &nfsv3.Readlink3args{Symlink: tfh}},
		{
			&nfsclient.ReadArgs{FH: ofh, Offset: 1 << 41, Count: 99},
			&nfsv3.Read3args{},
			&nfsv3.Read3args{File: tfh, Offset: 1 << 41, Count: 99},
		},
		{
			&nfsclient.WriteArgs{FH: ofh, Offset: 1 << 41, Count: 5, Stable: nfsclient.FileSync, Data: []byte("12345")},
			&nfsv3.Write3args{},
			&nfsv3.Write3args{File: tfh, Offset: 1 << 41, Count: 5, Stable: nfsv3.FILE_SYNC, Data: []byte("12345")},
		},
		{
			&nfsclient.CreateArgs{Dir: odir, Name: "a name", Attr: oset},
			&nfsv3.Create3args{}, create(&nfsv3.Createhow3_UNCHECKED{ObjAttributes: tset}),
		},
		{
			&nfsclient.CreateArgs{Dir: odir, Name: "a name", Mode: nfsclient.Guarded},
			&nfsv3.Create3args{}, create(&nfsv3.Createhow3_GUARDED{ObjAttributes: tkeep}),
		},
		{
			&nfsclient.CreateArgs{Dir: odir, Name: "a name", Mode: nfsclient.Exclusive, Verf: overf},
			&nfsv3.Create3args{}, create(&nfsv3.Createhow3_EXCLUSIVE{Verf: tverf}),
		},
		{&nfsclient.MkdirArgs{Dir: odir, Name: "a name", Attr: oset}, &nfsv3.Mkdir3args{}, &nfsv3.Mkdir3args{Where: twhat, Attributes: tset}},
		{
			&nfsclient.SymlinkArgs{Dir: odir, Name: "a name", Attr: oset, Target: "../to"},
			&nfsv3.Symlink3args{},
			&nfsv3.Symlink3args{Where: twhat, Symlink: nfsv3.Symlinkdata3{SymlinkAttributes: tset, SymlinkData: "../to"}},
		},
		{
			&nfsclient.MknodArgs{Dir: odir, Name: "a name", Type: nfsclient.Blk, Attr: oset, Major: 8, Minor: 9},
			&nfsv3.Mknod3args{},
			mknod(&nfsv3.Mknoddata3_NF3BLK{Device: nfsv3.Devicedata3{DevAttributes: tset, Spec: nfsv3.Specdata3{Specdata1: 8, Specdata2: 9}}}),
		},
		{
			&nfsclient.MknodArgs{Dir: odir, Name: "a name", Type: nfsclient.Chr, Attr: oset, Major: 1, Minor: 3},
			&nfsv3.Mknod3args{},
			mknod(&nfsv3.Mknoddata3_NF3CHR{Device: nfsv3.Devicedata3{DevAttributes: tset, Spec: nfsv3.Specdata3{Specdata1: 1, Specdata2: 3}}}),
		},
		{
			&nfsclient.MknodArgs{Dir: odir, Name: "a name", Type: nfsclient.Sock, Attr: oset},
			&nfsv3.Mknod3args{}, mknod(&nfsv3.Mknoddata3_NF3SOCK{PipeAttributes: tset}),
		},
		{
			&nfsclient.MknodArgs{Dir: odir, Name: "a name", Type: nfsclient.FIFO},
			&nfsv3.Mknod3args{}, mknod(&nfsv3.Mknoddata3_NF3FIFO{PipeAttributes: tkeep}),
		},
		{
			&nfsclient.MknodArgs{Dir: odir, Name: "a name", Type: nfsclient.Reg},
			&nfsv3.Mknod3args{}, mknod(&nfsv3.Mknoddata3_default{Type: nfsv3.NF3REG}),
		},
		{nameArgs(nfsclient.ProcRemove), &nfsv3.Remove3args{}, &nfsv3.Remove3args{Object: twhat}},
		{nameArgs(nfsclient.ProcRmdir), &nfsv3.Rmdir3args{}, &nfsv3.Rmdir3args{Object: twhat}},
		{
			&nfsclient.RenameArgs{FromDir: odir, FromName: "a name", ToDir: ofh, ToName: "other"},
			&nfsv3.Rename3args{}, &nfsv3.Rename3args{From: twhat, To: nfsv3.Diropargs3{Dir: tfh, Name: "other"}},
		},
		{&nfsclient.LinkArgs{FH: ofh, Dir: odir, Name: "a name"}, &nfsv3.Link3args{}, &nfsv3.Link3args{File: tfh, Link: twhat}},
		{
			&nfsclient.ReaddirArgs{Dir: odir, Cookie: 1 << 60, Verf: overf, Count: 512},
			&nfsv3.Readdir3args{}, &nfsv3.Readdir3args{Dir: tdir, Cookie: 1 << 60, Cookieverf: tverf, Count: 512},
		},
		{
			&nfsclient.ReaddirplusArgs{Dir: odir, Cookie: 1 << 60, Verf: overf, Dircount: 512, Maxcount: 4096},
			&nfsv3.Readdirplus3args{},
			&nfsv3.Readdirplus3args{Dir: tdir, Cookie: 1 << 60, Cookieverf: tverf, Dircount: 512, Maxcount: 4096},
		},
		{handleArgs(nfsclient.ProcFsstat), &nfsv3.Fsstat3args{}, &nfsv3.Fsstat3args{Fsroot: tfh}},
		{handleArgs(nfsclient.ProcFsinfo), &nfsv3.Fsinfo3args{}, &nfsv3.Fsinfo3args{Fsroot: tfh}},
		{handleArgs(nfsclient.ProcPathconf), &nfsv3.Pathconf3args{}, &nfsv3.Pathconf3args{Object: tfh}},
		{
			&nfsclient.CommitArgs{FH: ofh, Offset: 4096, Count: 7},
			&nfsv3.Commit3args{}, &nfsv3.Commit3args{File: tfh, Offset: 4096, Count: 7},
		},
	}
	for _, tt := range tt {
		t.Run(tt.args.Proc().String(), func(t *testing.T) {
			var e xdr.Encoder
			tt.args.Encode(&e)
			n, err := tt.got.ReadFrom(bytes.NewReader(e.B))
			if err != nil || n != int64(len(e.B)) {
				t.Errorf("read %d of %d bytes, error %v", n, len(e.B), err)
			}
			if d := cmp.Diff(tt.want, tt.got); d != "" {
				t.Errorf("want -, got +:\n%s", d)
			}
		})
	}
}

func TestResults(t *testing.T) {
	const stale = nfsv3.NFS3ERR_STALE
	created := nfsclient.CreateRes{FH: &ofh, Attr: &oattr, Dir: owcc}
	full := &nfsv3.PostOpFh3_TRUE{Handle: tfh}
	tt := []struct {
		name string
		wire io.WriterTo
		got  nfsclient.Results
		want nfsclient.Results // of a refusal too
	}{
		{
			"getattr", &nfsv3.Getattr3res_NFS3_OK{Resok: nfsv3.Getattr3resok{ObjAttributes: tattr}},
			&nfsclient.GetattrRes{}, &nfsclient.GetattrRes{Attr: oattr},
		},
		{"getattr refused", &nfsv3.Getattr3res_default{Status: stale}, &nfsclient.GetattrRes{}, &nfsclient.GetattrRes{}},
		{
			"setattr", &nfsv3.Setattr3res_NFS3_OK{Resok: nfsv3.Setattr3resok{ObjWcc: twcc}},
			&nfsclient.WccRes{}, &nfsclient.WccRes{Wcc: owcc},
		},
		{
			"setattr refused", &nfsv3.Setattr3res_default{Status: stale, Resfail: nfsv3.Setattr3resfail{ObjWcc: tnowcc}},
			&nfsclient.WccRes{}, &nfsclient.WccRes{},
		},
		{
			"lookup", &nfsv3.Lookup3res_NFS3_OK{Resok: nfsv3.Lookup3resok{Object: tfh, ObjAttributes: tpost, DirAttributes: tnone}},
			&nfsclient.LookupRes{}, &nfsclient.LookupRes{FH: ofh, Attr: &oattr},
		},
		{
			"lookup refused", &nfsv3.Lookup3res_default{Status: stale, Resfail: nfsv3.Lookup3resfail{DirAttributes: tpost}},
			&nfsclient.LookupRes{}, &nfsclient.LookupRes{Dir: &oattr},
		},
		{
			"access", &nfsv3.Access3res_NFS3_OK{Resok: nfsv3.Access3resok{ObjAttributes: tpost, Access: 0x2d}},
			&nfsclient.AccessRes{}, &nfsclient.AccessRes{Attr: &oattr, Access: 0x2d},
		},
		{
			"access refused", &nfsv3.Access3res_default{Status: stale, Resfail: nfsv3.Access3resfail{ObjAttributes: tpost}},
			&nfsclient.AccessRes{}, &nfsclient.AccessRes{Attr: &oattr},
		},
		{
			"readlink", &nfsv3.Readlink3res_NFS3_OK{Resok: nfsv3.Readlink3resok{SymlinkAttributes: tnone, Data: "../to"}},
			&nfsclient.ReadlinkRes{}, &nfsclient.ReadlinkRes{Target: "../to"},
		},
		{
			"readlink refused", &nfsv3.Readlink3res_default{Status: stale, Resfail: nfsv3.Readlink3resfail{SymlinkAttributes: tpost}},
			&nfsclient.ReadlinkRes{}, &nfsclient.ReadlinkRes{Attr: &oattr},
		},
		{
			"read", &nfsv3.Read3res_NFS3_OK{Resok: nfsv3.Read3resok{FileAttributes: tpost, Count: 3, Eof: true, Data: []byte("abc")}},
			&nfsclient.ReadRes{}, &nfsclient.ReadRes{Attr: &oattr, Count: 3, EOF: true, Data: []byte("abc")},
		},
		{
			"read refused", &nfsv3.Read3res_default{Status: stale, Resfail: nfsv3.Read3resfail{FileAttributes: tpost}},
			&nfsclient.ReadRes{}, &nfsclient.ReadRes{Attr: &oattr},
		},
		{
			"write", &nfsv3.Write3res_NFS3_OK{Resok: nfsv3.Write3resok{FileWcc: twcc, Count: 4, Committed: nfsv3.DATA_SYNC, Verf: tverf}},
			&nfsclient.WriteRes{}, &nfsclient.WriteRes{Wcc: owcc, Count: 4, Committed: nfsclient.DataSync, Verf: overf},
		},
		{
			"write refused", &nfsv3.Write3res_default{Status: stale, Resfail: nfsv3.Write3resfail{FileWcc: twcc}},
			&nfsclient.WriteRes{}, &nfsclient.WriteRes{Wcc: owcc},
		},
		{
			"create", &nfsv3.Create3res_NFS3_OK{Resok: nfsv3.Create3resok{Obj: full, ObjAttributes: tpost, DirWcc: twcc}},
			&nfsclient.CreateRes{}, &created,
		},
		{
			"create without handle",
			&nfsv3.Create3res_NFS3_OK{Resok: nfsv3.Create3resok{Obj: &nfsv3.PostOpFh3_FALSE{}, ObjAttributes: tnone, DirWcc: tnowcc}},
			&nfsclient.CreateRes{}, &nfsclient.CreateRes{},
		},
		{
			"create refused", &nfsv3.Create3res_default{Status: stale, Resfail: nfsv3.Create3resfail{DirWcc: twcc}},
			&nfsclient.CreateRes{}, &nfsclient.CreateRes{Dir: owcc},
		},
		{
			"mkdir", &nfsv3.Mkdir3res_NFS3_OK{Resok: nfsv3.Mkdir3resok{Obj: full, ObjAttributes: tpost, DirWcc: twcc}},
			&nfsclient.CreateRes{}, &created,
		},
		{
			"symlink", &nfsv3.Symlink3res_NFS3_OK{Resok: nfsv3.Symlink3resok{Obj: full, ObjAttributes: tpost, DirWcc: twcc}},
			&nfsclient.CreateRes{}, &created,
		},
		{
			"mknod", &nfsv3.Mknod3res_NFS3_OK{Resok: nfsv3.Mknod3resok{Obj: full, ObjAttributes: tpost, DirWcc: twcc}},
			&nfsclient.CreateRes{}, &created,
		},
		{
			"remove", &nfsv3.Remove3res_NFS3_OK{Resok: nfsv3.Remove3resok{DirWcc: twcc}},
			&nfsclient.WccRes{}, &nfsclient.WccRes{Wcc: owcc},
		},
		{
			"rmdir refused", &nfsv3.Rmdir3res_default{Status: stale, Resfail: nfsv3.Rmdir3resfail{DirWcc: twcc}},
			&nfsclient.WccRes{}, &nfsclient.WccRes{Wcc: owcc},
		},
		{
			"rename", &nfsv3.Rename3res_NFS3_OK{Resok: nfsv3.Rename3resok{FromdirWcc: twcc, TodirWcc: tnowcc}},
			&nfsclient.RenameRes{}, &nfsclient.RenameRes{From: owcc},
		},
		{
			"rename refused", &nfsv3.Rename3res_default{Status: stale, Resfail: nfsv3.Rename3resfail{FromdirWcc: tnowcc, TodirWcc: twcc}},
			&nfsclient.RenameRes{}, &nfsclient.RenameRes{To: owcc},
		},
		{
			"link", &nfsv3.Link3res_NFS3_OK{Resok: nfsv3.Link3resok{FileAttributes: tpost, LinkdirWcc: twcc}},
			&nfsclient.LinkRes{}, &nfsclient.LinkRes{Attr: &oattr, Dir: owcc},
		},
		{
			"link refused", &nfsv3.Link3res_default{Status: stale, Resfail: nfsv3.Link3resfail{FileAttributes: tpost, LinkdirWcc: tnowcc}},
			&nfsclient.LinkRes{}, &nfsclient.LinkRes{Attr: &oattr},
		},
		{
			"readdir", &nfsv3.Readdir3res_NFS3_OK{Resok: nfsv3.Readdir3resok{
				DirAttributes: tpost, Cookieverf: tverf, Reply: nfsv3.Dirlist3{
					Entries: &nfsv3.Entry3{Fileid: 5, Name: ".", Cookie: 6, Nextentry: &nfsv3.Entry3{Fileid: 7, Name: "long", Cookie: 1 << 62}},
				},
			}},
			&nfsclient.ReaddirRes{}, &nfsclient.ReaddirRes{
				Dir: &oattr, Verf: overf,
				Entries: []nfsclient.Entry{{Fileid: 5, Name: ".", Cookie: 6}, {Fileid: 7, Name: "long", Cookie: 1 << 62}},
			},
		},
		{
			"readdir at the end",
			&nfsv3.Readdir3res_NFS3_OK{Resok: nfsv3.Readdir3resok{DirAttributes: tnone, Reply: nfsv3.Dirlist3{Eof: true}}},
			&nfsclient.ReaddirRes{}, &nfsclient.ReaddirRes{EOF: true},
		},
		{
			"readdir refused", &nfsv3.Readdir3res_default{Status: stale, Resfail: nfsv3.Readdir3resfail{DirAttributes: tpost}},
			&nfsclient.ReaddirRes{}, &nfsclient.ReaddirRes{Dir: &oattr},
		},
		{
			"readdirplus", &nfsv3.Readdirplus3res_NFS3_OK{Resok: nfsv3.Readdirplus3resok{
				DirAttributes: tpost, Cookieverf: tverf, Reply: nfsv3.Dirlistplus3{Eof: true, Entries: &nfsv3.Entryplus3{
					Fileid: 5, Name: "a", Cookie: 6, NameAttributes: tpost, NameHandle: full,
					Nextentry: &nfsv3.Entryplus3{Fileid: 7, Name: "b", Cookie: 8, NameAttributes: tnone, NameHandle: &nfsv3.PostOpFh3_FALSE{}},
				}},
			}},
			&nfsclient.ReaddirplusRes{}, &nfsclient.ReaddirplusRes{Dir: &oattr, Verf: overf, EOF: true, Entries: []nfsclient.EntryPlus{
				{Entry: nfsclient.Entry{Fileid: 5, Name: "a", Cookie: 6}, Attr: &oattr, FH: &ofh},
				{Entry: nfsclient.Entry{Fileid: 7, Name: "b", Cookie: 8}},
			}},
		},
		{
			"fsstat",
			&nfsv3.Fsstat3res_NFS3_OK{Resok: nfsv3.Fsstat3resok{
				ObjAttributes: tpost, Tbytes: 1 << 42, Fbytes: 2, Abytes: 3, Tfiles: 4, Ffiles: 5, Afiles: 6, Invarsec: 7,
			}},
			&nfsclient.FsstatRes{}, &nfsclient.FsstatRes{
				Attr: &oattr, TotalBytes: 1 << 42, FreeBytes: 2, AvailBytes: 3, TotalFiles: 4, FreeFiles: 5, AvailFiles: 6, Invarsec: 7,
			},
		},
		{
			"fsinfo",
			&nfsv3.Fsinfo3res_NFS3_OK{Resok: nfsv3.Fsinfo3resok{
				ObjAttributes: tpost, Rtmax: 1, Rtpref: 2, Rtmult: 3, Wtmax: 4, Wtpref: 5, Wtmult: 6, Dtpref: 7, Maxfilesize: 1 << 63,
				TimeDelta: nfsv3.Nfstime3{Nseconds: 1}, Properties: 0x1b,
			}},
			&nfsclient.FsinfoRes{}, &nfsclient.FsinfoRes{
				Attr: &oattr, Rtmax: 1, Rtpref: 2, Rtmult: 3, Wtmax: 4, Wtpref: 5, Wtmult: 6, Dtpref: 7, MaxFileSize: 1 << 63,
				TimeDelta: nfsclient.Time{Nsec: 1}, Properties: 0x1b,
			},
		},
		{
			"pathconf", &nfsv3.Pathconf3res_NFS3_OK{Resok: nfsv3.Pathconf3resok{
				ObjAttributes: tpost, Linkmax: 32000, NameMax: 255, NoTrunc: true, CasePreserving: true,
			}},
			&nfsclient.PathconfRes{}, &nfsclient.PathconfRes{Attr: &oattr, LinkMax: 32000, NameMax: 255, NoTrunc: true, CasePreserving: true},
		},
		{
			"commit", &nfsv3.Commit3res_NFS3_OK{Resok: nfsv3.Commit3resok{FileWcc: twcc, Verf: tverf}},
			&nfsclient.CommitRes{}, &nfsclient.CommitRes{Wcc: owcc, Verf: overf},
		},
		{
			"mnt", &mount.Mountres3_MNT3_OK{Mountinfo: mount.Mountres3Ok{Fhandle: []byte("handle"), AuthFlavors: []int32{1, 0}}},
			&nfsclient.MntRes{}, &nfsclient.MntRes{FH: ofh, Flavors: []uint32{1, 0}},
		},
		{"mnt refused", &mount.Mountres3_default{FhsStatus: mount.MNT3ERR_ACCES}, &nfsclient.MntRes{}, &nfsclient.MntRes{}},
	}
	for _, tt := range tt {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			if _, err := tt.wire.WriteTo(&b); err != nil {
				t.Fatal(err)
			}
			checkDecode(t, b.Bytes(), tt.got)
			if d := cmp.Diff(tt.want, tt.got); d != "" {
				t.Errorf("want -, got +:\n%s", d)
			}
			for n := range b.Len() {
				d := xdr.Decoder{B: b.Bytes()[:n]}
				if tt.got.Decode(&d); d.Err == nil {
					t.Errorf("the first %d of %d bytes decode too", n, b.Len())
				}
			}
		})
	}
}

func TestMountLists(t *testing.T) {
	var b bytes.Buffer
	list := &mount.Mountbody{MlHostname: "a", MlDirectory: "/nix", MlNext: &mount.Mountbody{MlHostname: "b", MlDirectory: "/x"}}
	if _, err := mount.WriteMountlist(&b, list); err != nil {
		t.Fatal(err)
	}
	var dump nfsclient.DumpRes
	checkDecode(t, b.Bytes(), &dump)
	if d := cmp.Diff([]nfsclient.MountEntry{{Host: "a", Dir: "/nix"}, {Host: "b", Dir: "/x"}}, dump.Entries); d != "" {
		t.Errorf("dump: want -, got +:\n%s", d)
	}
	b.Reset()
	exports := &mount.Exportnode{ExDir: "/nix", ExGroups: &mount.Groupnode{GrName: "me"}, ExNext: &mount.Exportnode{ExDir: "/y"}}
	if _, err := mount.WriteExports(&b, exports); err != nil {
		t.Fatal(err)
	}
	var export nfsclient.ExportRes
	checkDecode(t, b.Bytes(), &export)
	if d := cmp.Diff([]nfsclient.ExportEntry{{Dir: "/nix", Groups: []string{"me"}}, {Dir: "/y"}}, export.Entries); d != "" {
		t.Errorf("export: want -, got +:\n%s", d)
	}
}

// checkDecode decodes all of b.
func checkDecode(t *testing.T, b []byte, res nfsclient.Results) {
	t.Helper()
	d := xdr.Decoder{B: b}
	res.Decode(&d)
	if d.Err != nil || d.Left() != 0 {
		t.Errorf("error %v, %d bytes left", d.Err, d.Left())
	}
}
