package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// file is a file of an archive.
type file struct {
	path    string // below the archive's one directory
	mode    int64
	content []byte
}

type files []file

// archive packs the files into one directory of a .tar.gz, sorted, with nothing of the machine or the moment.
func (fs files) archive(dir string, at time.Time) ([]byte, error) {
	sorted := slices.SortedFunc(slices.Values(fs), func(a, b file) int { return cmp.Compare(a.path, b.path) })
	var packed bytes.Buffer
	compressor, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	w := tar.NewWriter(compressor)
	for _, f := range sorted {
		header := &tar.Header{Name: path.Join(dir, f.path), Mode: f.mode, Size: int64(len(f.content)), ModTime: at, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(w.Close(), compressor.Close()); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// sumsOf is the text that "sha256sum --check" and "shasum --check" take.
func sumsOf(content map[string][]byte) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(content)) {
		fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(content[name]), name)
	}
	return text.String()
}
