package nfs

import (
	"net"
	"time"
)

// keepAlive finds the clients that are gone without a word, their machine suspended or
// the network between: the kernel asks after them when nothing was heard for two minutes, and
// the connection ends a minute later. There is no hurry, and a healthy idle server should not
// wake a laptop every 15 s, which is Go's default. (Where a reply is under way, the kernel
// gives the connection up when it has sent that in vain for some minutes, tcp(7).)
func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 2 * time.Minute, Interval: 15 * time.Second, Count: 4}
}

// keep asks the kernel to look after a connection. It only fails where that has ended,
// which its first read tells.
func (s *Server) keep(nc net.Conn) {
	if c, ok := nc.(interface {
		SetKeepAliveConfig(net.KeepAliveConfig) error
	}); ok {
		_ = c.SetKeepAliveConfig(s.alive)
	}
}
