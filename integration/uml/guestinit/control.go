//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

// controlSocket is where the supervisor takes orders from any user: one line,
// a verb; the answer is empty or says what went wrong.
const controlSocket = "/run/nixnfsd-control"

// listen takes orders until the guest ends.
func listen(srv *server) error {
	l, err := net.Listen("unix", controlSocket)
	if err != nil {
		return err
	}
	if err := os.Chmod(controlSocket, 0o666); err != nil {
		return err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go answer(conn, srv)
		}
	}()
	return nil
}

func answer(conn net.Conn, srv *server) {
	defer conn.Close()
	verb, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil {
		err = srv.do(strings.TrimSpace(verb))
	}
	if err != nil {
		_, _ = io.WriteString(conn, err.Error()) // who asked may be gone
	}
}

// ask is the other end: it returns when the supervisor has done the verb.
func ask(verb string) error {
	conn, err := net.Dial("unix", controlSocket)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := fmt.Fprintln(conn, verb); err != nil {
		return err
	}
	reply, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	if len(reply) > 0 {
		return errors.New(string(reply))
	}
	return nil
}
