package nfs

import "github.com/sirupsen/logrus"

// The names of log fields.
const (
	fieldClient = "client"
	fieldProc   = "proc"
	fieldXID    = "xid"
	fieldHandle = "handle"
	fieldStatus = "status"
	fieldErr    = "err"
	fieldStack  = "stack"
	fieldUID    = "uid"
	// fieldRefused counts the connections that a line stands for.
	fieldRefused = "refused"
	fieldTries   = "tries"
)

// trace logs a call that was answered: changes at level debug, others at trace.
func (s *Server) trace(q *request, st status) {
	level := logrus.TraceLevel
	if q.proc.access == changes {
		level = logrus.DebugLevel
	}
	if s.log.IsLevelEnabled(level) {
		s.fields(q).WithField(fieldStatus, st.Error()).Log(level, "call")
	}
}

// unknownError logs an error that became NFS3ERR_IO because nobody foresaw it.
func (s *Server) unknownError(q *request, err error) {
	s.fields(q).WithField(fieldErr, err).Warn("unforeseen error answered as an i/o error")
}

// panicked logs a panic that ended a call.
func (s *Server) panicked(q *request, p any, stack []byte) {
	s.fields(q).WithField(fieldErr, p).WithField(fieldStack, string(stack)).Error("panic in a call")
}

func (s *Server) fields(q *request) *logrus.Entry {
	return s.log.WithFields(logrus.Fields{
		fieldClient: q.client, fieldProc: q.proc.name, fieldXID: q.call.XID,
		fieldHandle: q.id.Fileid,
	})
}
