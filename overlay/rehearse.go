package overlay

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Rehearse says what would keep another process from opening the directories of a server that
// runs, as Open's errors do, so that the server goes on instead of giving way. It changes
// nothing, and cannot try what only the holder of the locks may do.
func Rehearse(o Options) error {
	o.setDefaults()
	for _, dir := range append([]string{o.Upper}, o.Lowers...) {
		f, err := openDirectory(dir)
		if err != nil {
			return err
		}
		f.Close()
	}
	if err := rehearseWork(&o); err != nil || o.State == "" {
		return err
	}
	var index *journalIndex
	head, err := journalHead(o.Upper)
	if err == nil {
		index, err = openIndex(filepath.Join(o.State, journalName), head)
	}
	if err == nil && index != nil {
		err = index.close()
	}
	if err != nil {
		return fmt.Errorf("open the places of known objects: %w", err)
	}
	return nil
}

// rehearseWork looks at the work directory, which may be missing where nothing is written.
func rehearseWork(o *Options) error {
	if _, err := os.Stat(o.Work); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if _, err := loadUpperNote(o.Work); err != nil {
		return err
	}
	for _, name := range []string{indexDir, sillyDir} {
		f, err := openDirectory(filepath.Join(o.Work, name))
		if err == nil {
			f.Close()
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if o.ReadOnly {
		return nil
	}
	_, err := listWork(o.Work)
	return err
}
