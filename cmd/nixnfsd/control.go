package main

import (
	"context"
	stdlog "log"
	"os"

	"github.com/sirupsen/logrus"

	"github.com/nixnfsd/nixnfsd/internal/control"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// The orders that other verbs give the server.
const (
	layersPath  = "/v1/layers"
	refreshPath = "/v1/layers/refresh"
)

// layersAnswer is what the server says of its layers.
type layersAnswer struct {
	Address   string             `json:"address"` // where the server listens
	Export    string             `json:"export"`
	Layers    []overlay.Layer    `json:"layers"`
	Refreshed *overlay.Refreshed `json:"refreshed,omitempty"`
}

// takeOrders listens on the control socket in the state directory and gives the function
// that ends it. A server without one, for want of room on the disk, serves all the same.
func takeOrders(state string, fsys *overlay.FS, where layersAnswer, log *logrus.Logger) (end func(context.Context)) {
	listener, err := control.Listen(state, uint32(os.Getuid()))
	if err != nil {
		log.WithError(err).Warn("no orders are taken")
		return func(context.Context) {}
	}
	out := log.WriterLevel(logrus.ErrorLevel)
	server := control.New(orders(fsys, where), stdlog.New(out, "", 0))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // ends with Shutdown
	}()
	return func(ctx context.Context) {
		if err := server.Shutdown(ctx); err != nil {
			log.WithError(err).Warn("an order was cut short")
		}
		<-done
		out.Close()
	}
}

func orders(fsys *overlay.FS, where layersAnswer) control.Orders {
	return control.Orders{
		"GET " + layersPath: func(context.Context) (any, error) {
			a := where
			a.Layers = fsys.Layers()
			return a, nil
		},
		"POST " + refreshPath: func(context.Context) (any, error) {
			r, err := fsys.Refresh()
			a := where
			a.Layers, a.Refreshed = fsys.Layers(), &r
			return a, err
		},
	}
}
