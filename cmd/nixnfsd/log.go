package main

import (
	"fmt"
	"io"

	"github.com/sirupsen/logrus"
	"github.com/spf13/pflag"
)

// logOptions are the flags that say what is logged, and how.
type logOptions struct {
	level, format string
}

func (o *logOptions) add(flags *pflag.FlagSet) {
	flags.StringVar(&o.level, "log-level", "info", "the least `LEVEL` to log: error, warn, info, debug or trace")
	flags.StringVar(&o.format, "log-format", "text", "`FORMAT` of the log: text or json")
}

// logger builds the one logger of the process. Lines of text carry the prefix
// of all that goes to standard error; JSON has to stay JSON.
func (o *logOptions) logger(w io.Writer) (*logrus.Logger, error) {
	log := logrus.New()
	log.SetOutput(w)
	level, err := logrus.ParseLevel(o.level)
	if err != nil {
		return nil, usage(fmt.Errorf("--log-level %q: give error, warn, info, debug or trace", o.level))
	}
	log.SetLevel(level)
	switch o.format {
	case "text":
		log.SetFormatter(&prefixed{logrus.TextFormatter{DisableColors: true}})
	case "json":
		log.SetFormatter(&logrus.JSONFormatter{})
	default:
		return nil, usage(fmt.Errorf("--log-format %q: give text or json", o.format))
	}
	return log, nil
}

// prefixed is logrus's text behind the program's name.
type prefixed struct{ logrus.TextFormatter }

// Format gives the line of one entry.
func (f *prefixed) Format(e *logrus.Entry) ([]byte, error) {
	line, err := f.TextFormatter.Format(e)
	return append([]byte("nixnfsd: "), line...), err
}
