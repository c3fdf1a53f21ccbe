package metrics

import (
	"context"
	"log"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	maxHeader   = 16 << 10 // bytes
	maxAnswers  = 2        // at once
	requestTime = 10 * time.Second
	answerTime  = 20 * time.Second
	idleTime    = time.Minute
)

// Path is where the metrics are.
const Path = "/metrics"

// Server gives metrics over HTTP.
type Server struct{ http http.Server }

// New makes a Server of what snapshot gives when it is asked. What goes wrong is logged.
func New(snapshot func() Snapshot, log *log.Logger) *Server {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		newCollector(snapshot), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	mux := http.NewServeMux()
	mux.Handle("GET "+Path, promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: log, ErrorHandling: promhttp.HTTPErrorOnError, MaxRequestsInFlight: maxAnswers, Timeout: requestTime,
	}))
	return &Server{http.Server{
		Handler: addressed(mux), ErrorLog: log, MaxHeaderBytes: maxHeader,
		ReadTimeout: requestTime, WriteTimeout: answerTime, IdleTimeout: idleTime,
	}}
}

// Serve answers until Shutdown, which gives http.ErrServerClosed.
func (s *Server) Serve(l net.Listener) error { return s.http.Serve(l) }

// Shutdown lets nobody in any more, and waits for the answers under way until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error { return s.http.Shutdown(ctx) }

// addressed refuses requests over TCP that were sent to a name.
func addressed(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		if local != nil && local.Network() == "tcp" && !isAddress(r.Host) {
			http.Error(w, "ask by address", http.StatusMisdirectedRequest)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// isAddress reports whether a Host header names a machine by address, or as localhost.
func isAddress(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	_, err := netip.ParseAddr(host)
	return err == nil || host == "localhost"
}
