package process_test

import (
	"net"
	"testing"

	"github.com/eks-gitops/reconciler/lab/process"
)

// A port that the kernel could give to a connection is no good: it may be gone when the program listens.
func TestFreePortIsNoneOfTheKernels(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	connection, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	for range 50 {
		port, err := process.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		if local := connection.LocalAddr().(*net.TCPAddr).Port; port >= 32768 && local >= 32768 {
			t.Fatalf("port %d is in the range that %d is from", port, local)
		}
	}
}
