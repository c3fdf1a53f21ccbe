package main

import (
	"errors"
	"fmt"
)

// Exit codes.
const (
	exitOK         = 0
	exitFailure    = 1
	exitUsage      = 2
	exitProblems   = 3
	exitNotRunning = 4
)

// exitError is an error that asks for an exit code. A nil err is silent: what
// there was to say has been said on standard output.
type exitError struct {
	code int
	err  error
}

// Error is the text of err, or the code where there is none.
func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

// Unwrap gives err, which may be nil.
func (e *exitError) Unwrap() error { return e.err }

// usage marks err as the command line's fault.
func usage(err error) error { return &exitError{code: exitUsage, err: err} }

func exitCode(err error) int {
	var exit *exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return exit.code
	}
	return exitFailure
}

// errorMessage is what to print of err, which may be nothing. It names the help of a command
// line that is wrong.
func errorMessage(err error, help string) string {
	var exit *exitError
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &exit):
		return err.Error()
	case exit.err == nil:
		return ""
	case exit.code == exitUsage:
		return fmt.Sprintf("%v; see %s", err, help)
	}
	return err.Error()
}
