package control

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// schemaVersion grows when a field of an answer changes its meaning or goes.
const schemaVersion = 1

const (
	maxRequest  = 64 << 10 // bytes of a body, and of a header
	readTime    = 10 * time.Second
	answerTime  = 10 * time.Minute // also for an order that looks at a million names
	errorStatus = http.StatusInternalServerError
)

// Orders are what a server does, by method and path as http.ServeMux takes them. An order
// gets the argument that Call was given, and what it gives is encoded as JSON. Its context ends
// when the caller has gone, or the server is about to.
type Orders map[string]func(ctx context.Context, arg json.RawMessage) (any, error)

// Server takes orders.
type Server struct{ http http.Server }

// New makes a server. Nothing but a panic is logged.
func New(orders Orders, log *log.Logger) *Server {
	mux := http.NewServeMux()
	for pattern, do := range orders {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			arg, err := io.ReadAll(r.Body)
			var result any
			if err == nil {
				result, err = do(r.Context(), arg)
			}
			respond(w, result, err)
		})
	}
	ctx, end := context.WithCancel(context.Background())
	s := &Server{http.Server{
		Handler: http.MaxBytesHandler(mux, maxRequest), MaxHeaderBytes: maxRequest, ErrorLog: log,
		ReadTimeout: readTime, WriteTimeout: answerTime, IdleTimeout: readTime,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}}
	s.http.RegisterOnShutdown(end)
	return s
}

// answer is what goes over the wire.
type answer struct {
	SchemaVersion int             `json:"schemaVersion"`
	Error         string          `json:"error,omitempty"`
	Result        json.RawMessage `json:"result,omitempty"`
}

func respond(w http.ResponseWriter, result any, err error) {
	a := answer{SchemaVersion: schemaVersion}
	if err == nil {
		a.Result, err = json.Marshal(result)
	}
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		a.Error = err.Error()
		w.WriteHeader(errorStatus)
	}
	_ = json.NewEncoder(w).Encode(a) // else the caller has gone
}

// Serve takes orders until Shutdown, which gives http.ErrServerClosed.
func (s *Server) Serve(l net.Listener) error { return s.http.Serve(l) }

// Shutdown lets nobody in any more, ends the contexts of the orders under way, and waits for
// them until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error { return s.http.Shutdown(ctx) }
