package overlay

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"unicode/utf8"
)

// A stored name is how an escaped layer spells a name, so that no two names are one
// to a volume that folds case, normalises Unicode or knows no other bytes:
//
//	a-z 0-9, ASCII signs and spaces   themselves
//	^x                                the upper-case letter of x
//	%xx                               any other byte, in lower-case hexadecimal
//	inert runes                       themselves; see inert
//	%~hash                            a name that would be longer than maxName; the
//	                                  real one is in the layer's dictionary
//
// Each name has one stored name, and a stored name holds nothing that a volume
// folds. See names_test.go for the proof.
const (
	upperSign  = '^'
	escapeSign = '%'
	longSign   = '~' // after escapeSign
)

// maxName is how many bytes a name may have, stored or not.
const maxName = 255

// longHash spells the hash in a long stored name: 160 bits.
var longHash = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const (
	longHashBytes = 20
	longNameBytes = 2 + 32
)

// storedName gives a name as an escaped layer spells it. One that is spelt like itself is
// returned as it is.
func storedName(name []byte) []byte {
	if at := firstEscape(name); at == len(name) {
		return name
	}
	b := make([]byte, 0, 2*maxName)
	for rest := name; len(rest) > 0; {
		n := firstEscape(rest)
		b = append(b, rest[:n]...)
		if rest = rest[n:]; len(rest) > 0 {
			b = appendEscape(b, rest[0])
			rest = rest[1:]
		}
	}
	if len(b) > maxName {
		return longName(name)
	}
	return b
}

// firstEscape gives the index of the first byte of a name that is not stored as itself.
func firstEscape(name []byte) int {
	for i := 0; i < len(name); {
		b := name[i]
		if b < utf8.RuneSelf {
			if !storedAsItself(b) {
				return i
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(name[i:])
		if !inert(r) {
			return i
		}
		i += size
	}
	return len(name)
}

func storedAsItself(b byte) bool {
	switch b {
	case upperSign, escapeSign, ':', '/':
		return false
	}
	return ' ' <= b && b <= '~' && !isUpper(b)
}

func isUpper(b byte) bool { return 'A' <= b && b <= 'Z' }

// inert reports whether no volume takes a rune for another: it has no case, neither
// composes nor decomposes, is not ignored, and every table of the last twenty years has it
// (Unicode 3.2). That is so of Chinese characters, the names of which would be three
// times as long escaped.
func inert(r rune) bool { return 0x3400 <= r && r <= 0x4db5 || 0x4e00 <= r && r <= 0x9fa5 }

const hexDigits = "0123456789abcdef"

func appendEscape(b []byte, c byte) []byte {
	if isUpper(c) {
		return append(b, upperSign, c|0x20)
	}
	return append(b, escapeSign, hexDigits[c>>4], hexDigits[c&15])
}

// longName gives the stored name of one that has no room escaped.
func longName(name []byte) []byte {
	sum := sha256.Sum256(name)
	return longHash.AppendEncode([]byte{escapeSign, longSign}, sum[:longHashBytes])
}

// isLongName reports whether the dictionary has to tell what a stored name stands for.
func isLongName(stored []byte) bool {
	if len(stored) != longNameBytes || stored[0] != escapeSign || stored[1] != longSign {
		return false
	}
	_, err := longHash.Decode(make([]byte, longHashBytes), stored[2:])
	return err == nil
}

// shownName gives the name that a stored name stands for. ok is false where it is none,
// or a long one.
func shownName(stored []byte) (name []byte, ok bool) {
	if firstEscape(stored) == len(stored) {
		return stored, len(stored) <= maxName
	}
	name, ok = unescape(stored)
	if !ok || !canBeShown(name) || !bytes.Equal(storedName(name), stored) {
		return nil, false
	}
	return name, true
}

// canBeShown reports whether a client can be given a name: one that is no path, and not
// too long, as they are on volumes that count UTF-16 units.
func canBeShown(name []byte) bool {
	return len(name) <= maxName && !bytes.ContainsAny(name, "\x00/")
}

// unescape undoes escapes, needed or not.
func unescape(stored []byte) (name []byte, ok bool) {
	name = make([]byte, 0, len(stored))
	for i := 0; i < len(stored); i++ {
		switch c := stored[i]; {
		case c == upperSign && i+1 < len(stored):
			i++
			name = append(name, stored[i]&^0x20)
		case c == escapeSign && i+2 < len(stored):
			name = append(name, unhex(stored[i+1])<<4|unhex(stored[i+2]))
			i += 2
		case c == upperSign || c == escapeSign:
			return nil, false
		default:
			name = append(name, c)
		}
	}
	return name, true
}

// unhex gives a digit's value, and of what is none anything.
func unhex(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}
