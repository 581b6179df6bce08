package process

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
)

// Ports that services register begin above lowest; below it, some machines keep their own.
const lowest = 10240

// FreePort finds a port of loopback that nobody listens on, below those that the kernel gives to connections: one of those
// could be taken by any connection before the program that it is for listens. Somebody may still take it first; then that
// program's start fails and says so.
func FreePort() (int, error) {
	const tries = 100
	first := ephemeral()
	for range tries {
		port := lowest + rand.IntN(first-lowest) //nolint:gosec // it spreads, it hides nothing
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("looking for a free port: %w", err)
		}
		return port, l.Close()
	}
	return 0, fmt.Errorf("looking for a free port: %d between %d and %d were taken", tries, lowest, first)
}

// ephemeral is the first of the ports that the kernel gives to connections (ip(7), ip_local_port_range).
func ephemeral() int {
	const usual = 32768
	var first, last int
	content, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return usual
	}
	if _, err := fmt.Sscan(string(content), &first, &last); err != nil || first <= lowest {
		return usual
	}
	return first
}
