package model

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// op is an operation that both sides can carry out.
type op interface {
	ours(s *served) answer
	theirs(k *kernel) answer
}

// step is a line of the script: an op, or a whole.
type step struct{ do any }

func (s step) GoString() string { return s.String() }

func (s step) String() string {
	if named, ok := s.do.(fmt.Stringer); ok {
		return named.String()
	}
	return strings.TrimPrefix(fmt.Sprintf("%T%+v", s.do, s.do), "model.")
}

// look is GETATTR, by a path of look-ups.
type look struct{ at where }

func (o look) ours(s *served) answer { return s.about(s.find(o.at)) }

func (o look) theirs(k *kernel) answer { return k.on(o.at, func(int) error { return nil }) }

// hold keeps an object's handle in a slot, for later.
type hold struct {
	at   where
	slot int
}

func (o hold) ours(s *served) answer {
	fh, err := s.find(o.at)
	a := s.about(fh, err)
	if a.err == nil {
		s.slots[o.slot] = fh
	}
	return a
}

func (o hold) theirs(k *kernel) answer {
	fd, err := k.open(o.at)
	if err != nil {
		return answer{err: classify(err)}
	}
	_ = unix.Close(k.slots[o.slot])
	k.slots[o.slot] = fd
	return k.about(fd, nil)
}
