package overlay

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// trail is a directory that is followed from layer to layer, as ovl_lookup does in
// Linux's fs/overlayfs/namei.c.
type trail struct {
	fs *FS
	// name is what the directory is called in the next layer: a name in the
	// parent's part, or a path from the layer's root.
	name string
	// redirect is the mark of the upper's directory.
	redirect string
	// spelt is how names are spelt in the directory that is looked in.
	spelt *spellings
	// asked are those for which the stack is looked for.
	asked *asked
	// stop says that the layers under the last one do not show.
	stop bool
}

// findStack looks for the directory in the layers of its parent, from the
// layer in which its name was found downwards, and where redirects lead.
func (fs *FS) findStack(n *node, p *place, old *stack, asked *asked) (*stack, error) {
	parent, err := fs.stackFrom(p.parent, asked)
	if err != nil {
		return nil, err
	}
	if parent.onlyIn(old) {
		return old.with(old.parts), nil
	}
	s := new(stack)
	t := trail{fs: fs, name: p.plain(), asked: asked}
	from, parts := p.parent, parent.parts
	for layer := p.layer; !t.stop; {
		in := partFrom(parts, layer)
		if in == nil {
			break
		}
		name := t.name
		part, err := t.lookIn(from, in)
		if err == syscall.ESTALE && in != &parts[0] {
			part, err = nil, nil // a lower layer has lost the parent: nothing is in it
		}
		if err == nil && part != nil && len(s.parts) == 0 {
			err = fs.nowIn(n, p, part)
		}
		if err != nil {
			return nil, err
		}
		if part != nil {
			if name != p.plain() {
				part.dir.at.Store(&name)
			}
			s.parts = append(s.parts, *part)
		}
		if layer = in.layer + 1; absolute(t.name) {
			from, parts = fs.root, fs.root.dir.stack.Load().parts
		}
	}
	if len(s.parts) == 0 {
		return nil, syscall.ESTALE
	}
	s.redirect = t.redirect
	return s, nil
}

// partFrom gives the topmost part that is not above a layer, or nil.
func partFrom(parts []stackPart, layer int) *stackPart {
	for i := range parts {
		if parts[i].layer >= layer {
			return &parts[i]
		}
	}
	return nil
}

// lookIn gives the directory's part in one layer, or nil. in is where to start: the
// parent's part, or the layer's root.
func (t *trail) lookIn(d *node, in *stackPart) (*stackPart, error) {
	dir, err := t.fs.partFrom(d, in, t.asked)
	if err != nil {
		return nil, err
	}
	defer dir.release()
	t.spelt = in.dir.spelt
	if absolute(t.name) {
		return t.walk(dir.fd, in.layer)
	}
	return t.step(dir.fd, in.layer, 0, t.name, "")
}

// walk takes the path of the trail, name by name.
func (t *trail) walk(root, layer int) (*stackPart, error) {
	fd, rest := root, t.name[1:]
	for {
		name, _, more := strings.Cut(rest, "/")
		rest = rest[len(name):]
		part, err := t.step(fd, layer, len(t.name)-len(rest)-len(name), name, rest)
		next := -1
		if err == nil && part != nil && more {
			next, err = t.fs.openIn(layer, fd, name)
			t.spelt = t.fs.layers[layer].newSpellings()
		}
		if fd != root {
			unix.Close(fd)
		}
		if err != nil || part == nil || !more {
			return part, gone(err)
		}
		fd, rest = next, rest[1:]
	}
}

// step looks a name up in the directory fd. In the trail's name there are pre bytes
// before it and post after it: a redirect changes what the layers below are asked for.
func (t *trail) step(fd, layer, pre int, name, post string) (*stackPart, error) {
	var st sysStat
	cn, err := t.fs.onDisk(layer, fd, cString(name+"\x00"))
	if err == nil {
		err = sysStatAt(fd, cn, &st)
	}
	if err == nil {
		err = t.fs.exactly(t.spelt, fd, cn)
	}
	switch {
	case err == syscall.ENOENT || err == syscall.ENAMETOOLONG:
		return nil, nil
	case err != nil:
		return nil, err
	case !st.isDir(): // a whiteout too
		t.stop = true
		return nil, nil
	}
	var part *stackPart
	held := false
	err = t.fs.withPinIn(layer, fd, cn, func(o target, st *sysStat) (err error) {
		held = true
		part, err = t.take(o, st, layer, pre, post)
		return err
	})
	if err == syscall.EACCES && !held && layer != 0 { // macOS holds only what it may read
		return t.fs.newPart(layer, &st, dirMarks{}), nil
	}
	return part, gone(err)
}

// take makes a part of a directory that is held: its marks are not those of another that gets
// its name.
func (t *trail) take(o target, st *sysStat, layer, pre int, post string) (*stackPart, error) {
	if !st.isDir() {
		return nil, syscall.ESTALE
	}
	marks, err := t.fs.readDirMarks(layer, o)
	if err != nil {
		return nil, err
	}
	if marks.opaque {
		t.stop = true
	} else if layer < len(t.fs.layers)-1 {
		err = t.turn(o, layer, pre, post)
	}
	return t.fs.newPart(layer, st, marks), err
}

func (fs *FS) newPart(layer int, st *sysStat, marks dirMarks) *stackPart {
	dir := &partDir{spelt: fs.layers[layer].newSpellings()}
	part := &stackPart{layer: layer, dir: dir, whiteouts: marks.whiteouts, impure: marks.impure}
	part.seen(fs.identity(layer, st), st.ctime)
	return part
}

// turn takes in a directory's redirect. A path counts also where a directory on the way
// to the one that has it was opaque.
func (t *trail) turn(o target, layer, pre int, post string) error {
	to, err := t.fs.readRedirect(layer, o)
	if err != nil || to == "" {
		return err
	}
	if to, err = t.fs.insidePath(layer, to); err != nil {
		return err
	}
	if layer == 0 {
		t.redirect = to
	}
	if absolute(to) {
		t.name, t.stop = to+post, false
	} else {
		t.name = t.name[:pre] + to + post
	}
	return nil
}
