//go:build linux

package guest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What the writers of a database do.
const (
	sqliteWriters = 4
	sqliteRows    = 25 // of each writer
	sqliteKillAt  = 10 // rows after which the first one is killed
)

// TestSqlite has several processes write to one database, kills one of them in
// the middle of a transaction, and looks for every row that was acknowledged.
func TestSqlite(t *testing.T) {
	for _, mode := range []string{"delete", "truncate", "wal"} {
		t.Run(mode, func(t *testing.T) {
			w := newTool(t, Dir(t), "sqlite3")
			db := filepath.Join(w.dir, "test.db")
			if got := w.run("sqlite3", db, "PRAGMA journal_mode="+mode); got != mode {
				t.Fatalf("journal mode: got %s, want %s", got, mode)
			}
			w.run("sqlite3", db, "CREATE TABLE rows(name TEXT PRIMARY KEY, filler BLOB)")
			acknowledged := writeRows(w, db)
			if got := w.run("sqlite3", db, "PRAGMA integrity_check"); got != "ok" {
				t.Errorf("integrity check: got %s", got)
			}
			rows := strings.Fields(w.run("sqlite3", db, "SELECT name FROM rows ORDER BY name"))
			checkRows(t, rows, acknowledged)
		})
	}
}

// checkRows allows for the one row that the killed writer had not been told of.
func checkRows(t *testing.T, rows, acknowledged []string) {
	t.Helper()
	for _, name := range acknowledged {
		if !slices.Contains(rows, name) {
			t.Errorf("row %s was acknowledged and is lost", name)
		}
	}
	if want := (sqliteWriters-1)*sqliteRows + sqliteKillAt; len(acknowledged) != want {
		t.Errorf("acknowledged rows: got %d, want %d", len(acknowledged), want)
	}
	if extra := len(rows) - len(acknowledged); extra > 1 {
		t.Errorf("got %d rows, %d more than were acknowledged, want at most one more", len(rows), extra)
	}
}

// writeRows runs the writers and returns the rows that were acknowledged.
func writeRows(w *tool, db string) []string {
	w.Helper()
	type result struct {
		rows []string
		err  error
	}
	done := make(chan result)
	for i := range sqliteWriters {
		go func() {
			rows, err := writer(w, db, i)
			done <- result{rows, err}
		}()
	}
	var acknowledged []string
	for range sqliteWriters {
		r := <-done
		if r.err != nil {
			w.Error(r.err)
		}
		acknowledged = append(acknowledged, r.rows...)
	}
	return acknowledged
}

// writer is one process that inserts row by row. The first one is killed.
func writer(w *tool, db string, number int) (rows []string, err error) {
	cmd := exec.CommandContext(w.Context(), "sqlite3", "-bail", db)
	cmd.Env = w.env
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	rows, err = insertRows(stdin, bufio.NewReader(stdout), number)
	if number == 0 {
		// The transaction is under way, and ends where the kill finds it.
		_, _ = io.WriteString(stdin, insert("unacknowledged"))
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return rows, err
	}
	stdin.Close()
	if waitErr := cmd.Wait(); waitErr != nil || err != nil {
		err = fmt.Errorf("writer %d: %w: %s", number, errors.Join(err, waitErr), complaints.String())
	}
	return rows, err
}

// insertRows inserts one row after the other, each when the one before was
// acknowledged.
func insertRows(stdin io.Writer, answers *bufio.Reader, number int) (rows []string, err error) {
	if _, err := io.WriteString(stdin, ".timeout 60000\nPRAGMA synchronous=FULL;\n"); err != nil {
		return nil, err
	}
	count := sqliteRows
	if number == 0 {
		count = sqliteKillAt
	}
	for i := range count {
		name := fmt.Sprintf("%d-%d", number, i)
		if _, err := io.WriteString(stdin, insert(name)); err != nil {
			return rows, err
		}
		answer, err := answers.ReadString('\n')
		if err != nil || strings.TrimSpace(answer) != name {
			return rows, fmt.Errorf("insert %s: got %q and error %v", name, answer, err)
		}
		rows = append(rows, name)
	}
	return rows, nil
}

// insert is a transaction that says its name when it is committed.
func insert(name string) string {
	return fmt.Sprintf("INSERT INTO rows VALUES('%s', randomblob(3000)); SELECT '%s';\n", name, name)
}
