package model

import (
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// generator draws one kind of step. The likelier kinds are in the lists several times.
type generator func(t *rapid.T) any

// readings change nothing.
var readings = []generator{
	func(t *rapid.T) any { return look{anywhere(t)} },
	func(t *rapid.T) any { return hold{anywhere(t), rapid.IntRange(0, slots-1).Draw(t, "slot")} },
	func(t *rapid.T) any { return hold{anywhere(t), rapid.IntRange(0, slots-1).Draw(t, "slot")} },
	func(t *rapid.T) any { return read{anywhere(t)} },
	func(t *rapid.T) any { return readlink{anywhere(t)} },
	func(t *rapid.T) any {
		return list{anywhere(t), rapid.SampledFrom([]uint32{200, 512, 8192}).Draw(t, "bytes")}
	},
	func(t *rapid.T) any { return commit{anywhere(t)} },
}

var changes = []generator{
	genCreate, genCreate, genMknod, genWrite, genWrite, genSetattr, genSetattr, genSetattr,
	func(t *rapid.T) any { return mkdir{aName(t), genMode.Draw(t, "mode")} },
	func(t *rapid.T) any { return mkdir{aName(t), 0o755} },
	func(t *rapid.T) any { return symlink{aName(t), genTarget.Draw(t, "target")} },
	func(t *rapid.T) any { return link{anywhere(t), aName(t)} },
	func(t *rapid.T) any { return link{anywhere(t), aName(t)} },
	func(t *rapid.T) any { return rename{aName(t), aName(t)} },
	func(t *rapid.T) any { return rename{aName(t), aName(t)} },
	func(t *rapid.T) any { return rename{aName(t), aName(t)} },
	func(t *rapid.T) any { return rename{aName(t), aName(t)} },
	func(t *rapid.T) any { return remove{aName(t), false} },
	func(t *rapid.T) any { return remove{aName(t), false} },
	func(t *rapid.T) any { return remove{aName(t), true} },
	func(t *rapid.T) any { return remove{aName(t), true} },
}

var wholes = []generator{
	func(t *rapid.T) any { return compare{} },
	func(t *rapid.T) any { return restart{lose: rapid.IntRange(0, 3).Draw(t, "lose") == 3} },
}

// genStep draws a step of one of the kinds.
func genStep(kinds ...[]generator) *rapid.Generator[step] {
	all := slices.Concat(kinds...)
	return rapid.Custom(func(t *rapid.T) step { return step{rapid.SampledFrom(all).Draw(t, "kind")(t)} })
}

func anywhere(t *rapid.T) where { return genWhere(0).Draw(t, "at") }

func aName(t *rapid.T) where { return genWhere(1).Draw(t, "name") }

var genSize = rapid.SampledFrom([]int64{-1, 0, 1, 5, 4096, 10001})

func genCreate(t *rapid.T) any {
	how := rapid.SampledFrom([]nfsclient.CreateMode{nfsclient.Unchecked, nfsclient.Guarded, nfsclient.Exclusive})
	return create{aName(t), how.Draw(t, "how"), genMode.Draw(t, "mode"), genSize.Draw(t, "size")}
}

func genMknod(t *rapid.T) any {
	o := mknod{at: aName(t), mode: genMode.Draw(t, "mode")}
	o.typ = rapid.SampledFrom([]nfsclient.Type{nfsclient.FIFO, nfsclient.Sock, nfsclient.Chr, nfsclient.Blk}).Draw(t, "type")
	if o.typ == nfsclient.Chr || o.typ == nfsclient.Blk {
		o.major = 1 // 0:0 is a whiteout
		o.minor = rapid.Uint32Range(0, 3).Draw(t, "minor")
	}
	return o
}

func genWrite(t *rapid.T) any {
	return write{
		anywhere(t), rapid.SampledFrom([]int64{0, 3, 4090, 20000}).Draw(t, "off"),
		rapid.SampledFrom([]string{"W", "written", strings.Repeat("+", 5000)}).Draw(t, "data"),
		nfsclient.Stable(rapid.Uint32Range(0, 2).Draw(t, "stable")),
	}
}

func genSetattr(t *rapid.T) any {
	maybe := func(name string, values ...int64) int64 {
		return rapid.SampledFrom(append([]int64{-1, -1, -1}, values...)).Draw(t, name)
	}
	genWhen := rapid.Custom(func(t *rapid.T) when {
		w := when{how: nfsclient.TimeHow(rapid.Uint32Range(0, 2).Draw(t, "how"))}
		if w.how == nfsclient.ClientTime {
			w.to = rapid.Int64Range(0, 1000).Draw(t, "time")
		}
		return w
	})
	o := setattr{
		at: anywhere(t), uid: maybe("uid", 0, 1000), gid: maybe("gid", 0, 1000), size: maybe("size", 0, 3, 9000),
		atime: genWhen.Draw(t, "atime"), mtime: genWhen.Draw(t, "mtime"), mode: -1,
		guard: rapid.SampledFrom([]guard{unguarded, unguarded, unguarded, rightGuard, wrongGuard}).Draw(t, "guard"),
	}
	if rapid.Bool().Draw(t, "chmod") {
		o.mode = int64(genMode.Draw(t, "mode"))
	}
	return o
}
