package nfs

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Key authenticates file handles. Handles given out under one key are worth
// nothing under another, so it has to outlive the server.
type Key [16]byte

const keyName = "key"

// LoadKey reads the key kept in the directory dir, which has to exist, and makes
// one, readable by the owner only, where there is none. A file of the wrong
// size is an error: to go on with another key would break every mount.
func LoadKey(dir string) (Key, error) {
	path := filepath.Join(dir, keyName)
	b, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(path)
	}
	if err != nil {
		return Key{}, fmt.Errorf("read the handle key: %w", err)
	}
	if len(b) != len(Key{}) {
		return Key{}, fmt.Errorf("handle key %s has %d bytes instead of %d: put the right file back, "+
			"or unmount every client and remove it", path, len(b), len(Key{}))
	}
	return Key(b), nil
}

// IsIn says why the key that LoadKey would find in dir is not this one.
func (k Key) IsIn(dir string) error {
	path := filepath.Join(dir, keyName)
	b, err := readKey(path)
	if err != nil {
		return fmt.Errorf("read the handle key: %w", err)
	}
	if string(b) != string(k[:]) {
		return fmt.Errorf("handle key %s is not the one that the server's clients have handles of", path)
	}
	return nil
}

// readKey waits at no pipe, and at nothing that never ends.
func readKey(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

func makeKey(path string) (Key, error) {
	var k Key
	rand.Read(k[:]) // never fails
	if err := renameio.WriteFile(path, k[:], 0o600); err != nil {
		return Key{}, fmt.Errorf("make the handle key: %w", err)
	}
	return k, nil
}
