package process

import (
	"fmt"
	"net"
)

// FreePort asks the kernel for a port of loopback that nobody listens on. Somebody may take it before the program that it is
// for does; then that program's start fails and says so.
func FreePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("looking for a free port: %w", err)
	}
	defer func() { _ = l.Close() }()
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("looking for a free port: %s is no TCP address", l.Addr())
	}
	return address.Port, nil
}
