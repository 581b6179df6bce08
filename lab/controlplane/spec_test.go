package controlplane

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestAddressIn(t *testing.T) {
	t.Parallel()
	for cidr, want := range map[string]string{"10.100.0.0/16": "10.100.0.10", "172.20.0.0/16": "172.20.0.10", "fd00:ec2::/108": "fd00:ec2::a"} {
		if got, err := addressIn(cidr, 10); err != nil || got != want {
			t.Errorf("%s: got %s, %v", cidr, got, err)
		}
	}
	if _, err := addressIn("10.100.0.0", 1); err == nil {
		t.Error("an address is no network")
	}
}

// The API server refuses to advertise an address of another family than the Services', and pods behind Services are of it.
func TestOneFamily(t *testing.T) {
	t.Parallel()
	for cidr, six := range map[string]bool{"": false, "172.20.0.0/16": false, "fd30:1c53:5f8a::/108": true} {
		s := Spec{ServiceCIDR: cidr}
		if err := s.complete(); err != nil {
			t.Fatal(err)
		}
		pods, err := netip.ParsePrefix(s.podCIDR())
		if err != nil {
			t.Fatal(err)
		}
		advertised, err := netip.ParseAddr(s.advertised())
		if err != nil {
			t.Fatal(err)
		}
		if pods.Addr().Is6() != six || advertised.Is6() != six {
			t.Errorf("with Services in %s pods are in %s, and the API server is at %s", s.ServiceCIDR, pods, advertised)
		}
	}
}

func TestSpecSaysWhatItCannotBe(t *testing.T) {
	t.Parallel()
	for text, spec := range map[string]Spec{
		"serving Kubernetes 1.20": {Version: "1.20"}, "reading the service CIDR": {ServiceCIDR: "nonsense"},
	} {
		if err := spec.complete(); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want %q", err, text)
		}
	}
	var spec Spec
	if err := spec.complete(); err != nil || spec.Version != "1.36" || spec.ServiceCIDR != "10.100.0.0/16" {
		t.Errorf("got %+v, %v", spec, err)
	}
}

// On a busy disk etcd listens long before it serves: then it is too early for the API server. Its folder may lie deeper than the path of a
// unix socket may be long.
func TestEtcdServesWhenItIsHealthy(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep/", 25))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if etcdServes(t.Context(), dir) {
		t.Error("without a socket it serves")
	}
	folder, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = folder.Close() }()
	listener, err := net.Listen("unix", filepath.Join("/proc/self/fd", strconv.Itoa(int(folder.Fd())), etcdSocket))
	if err != nil {
		t.Fatal(err)
	}
	if etcdServes(t.Context(), dir) {
		t.Error("it serves before it answers")
	}
	answer := http.StatusServiceUnavailable
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(answer) })}}
	server.Start()
	defer server.Close()
	if etcdServes(t.Context(), dir) {
		t.Error("it serves and has no leader")
	}
	answer = http.StatusOK
	if !etcdServes(t.Context(), dir) {
		t.Error("it is healthy and does not serve")
	}
}
