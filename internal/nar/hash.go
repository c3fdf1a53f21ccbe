package nar

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// digits are those of Nix's base 32, which has no e, o, t and u (libutil, base-nix-32).
const digits = "0123456789abcdfghijklmnpqrsvwxyz"

// Hash is a SHA-256.
type Hash = [sha256.Size]byte

// Base32 spells bytes as Nix does in the names of store paths: from the last five bits on.
func Base32(b []byte) string {
	const bits = 5
	text := make([]byte, (len(b)*8+bits-1)/bits)
	for i := range text {
		at := (len(text) - 1 - i) * bits
		v := uint(b[at/8]) >> (at % 8)
		if at/8+1 < len(b) {
			v |= uint(b[at/8+1]) << (8 - at%8)
		}
		text[i] = digits[v%uint(len(digits))]
	}
	return string(text)
}

// ParseHash reads a SHA-256 in any of the ways in which Nix writes one: behind "sha256:" in base 16, 32
// or 64, or behind "sha256-" in base 64.
func ParseHash(s string) (h Hash, err error) {
	text, sri := strings.CutPrefix(s, "sha256-")
	if !sri {
		text = strings.TrimPrefix(s, "sha256:")
	}
	var b []byte
	switch {
	case !sri && len(text) == hex.EncodedLen(len(h)):
		b, err = hex.DecodeString(text)
	case !sri && len(text) == len(Base32(h[:])):
		b, err = fromBase32(text)
	default:
		b, err = base64.StdEncoding.DecodeString(text)
	}
	if err != nil || copy(h[:], b) != len(b) || len(b) != len(h) {
		return Hash{}, fmt.Errorf("%q is no SHA-256", s)
	}
	return h, nil
}

// fromBase32 reads a hash of the right length.
func fromBase32(s string) ([]byte, error) {
	const bits = 5
	b := make([]byte, len(s)*bits/8)
	for i, c := range slices.Backward([]byte(s)) {
		at := (len(s) - 1 - i) * bits
		v := strings.IndexByte(digits, c)
		if v < 0 {
			return nil, fmt.Errorf("%q is no digit", c)
		}
		b[at/8] |= byte(v << (at % 8))
		over := v >> (8 - at%8)
		if at/8+1 < len(b) {
			b[at/8+1] |= byte(over)
		} else if over != 0 {
			return nil, fmt.Errorf("%q is more than there is room for", c)
		}
	}
	return b, nil
}
