package controlplane

import (
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
