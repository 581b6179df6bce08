package eks_test

import (
	"encoding/base64"
	"errors"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awseks "github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/eks"
)

// planes are control planes that become what the test says.
type planes struct {
	mu      sync.Mutex
	want    map[string]eks.ControlPlane
	deleted map[string]bool
	slow    bool // not ready, and not gone
	broken  error
	calls   int
}

func newPlanes() *planes {
	return &planes{want: map[string]eks.ControlPlane{}, deleted: map[string]bool{}}
}

func withPlanes(p *planes) option { return func(o *aws.Options) { o.ControlPlanes = p } }

func (p *planes) Ensure(want eks.ControlPlane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.want[want.Cluster] = want
	p.calls++
}

func (p *planes) Delete(cluster string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deleted[cluster] = true
}

func (p *planes) Status(cluster string) eks.PlaneStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	return eks.PlaneStatus{
		Ready: !p.slow, Version: p.want[cluster].Version, Endpoint: "https://127.0.0.1:6443", CAData: base64.StdEncoding.EncodeToString([]byte("CA")),
		Err: p.broken, Gone: p.deleted[cluster] && !p.slow,
	}
}

func (p *planes) set(slow bool, broken error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slow, p.broken = slow, broken
}

func (p *planes) wanted(cluster string) eks.ControlPlane {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.want[cluster]
}

func TestClusterFollowsItsControlPlane(t *testing.T) {
	t.Parallel()
	p := newPlanes()
	p.slow = true
	a := newAccount(t, withPlanes(p))
	_, err := a.api.CreateCluster(t.Context(), a.request("c1"))
	must(t, err)
	a.pass(20 * time.Minute)
	if got := a.describe("c1").Status; got != types.ClusterStatusCreating {
		t.Errorf("with a slow control plane the cluster is %s", got)
	}
	p.set(false, nil)
	a.pass(time.Second)
	c := a.describe("c1")
	if c.Status != types.ClusterStatusActive || *c.Endpoint != "https://127.0.0.1:6443" || *c.CertificateAuthority.Data != "Q0E=" {
		t.Errorf("cluster is %s at %s", c.Status, *c.Endpoint)
	}
	want := p.wanted("c1")
	if want.Version != "1.34" || want.ServiceCIDR != "10.100.0.0/16" || want.Issuer != *c.Identity.Oidc.Issuer || want.AuthenticationMode != "API_AND_CONFIG_MAP" || len(want.Software) != 3 {
		t.Errorf("the control plane was asked to be %+v", want)
	}
	_, err = a.api.UpdateClusterVersion(t.Context(), &awseks.UpdateClusterVersionInput{Name: c.Name, Version: sdk.String("1.35")})
	must(t, err)
	if got := p.wanted("c1").Version; got != "1.35" {
		t.Errorf("the control plane was asked for version %s", got)
	}
	p.set(true, nil)
	a.pass(15 * time.Minute)
	if c := a.describe("c1"); c.Status != types.ClusterStatusUpdating || *c.Version != "1.34" {
		t.Errorf("while the control plane restarts the cluster is %s at %s", c.Status, *c.Version)
	}
	p.set(false, nil)
	a.pass(time.Second)
	if c := a.describe("c1"); c.Status != types.ClusterStatusActive || *c.Version != "1.35" {
		t.Errorf("afterwards the cluster is %s at %s", c.Status, *c.Version)
	}
	p.set(true, nil)
	_, err = a.api.DeleteCluster(t.Context(), &awseks.DeleteClusterInput{Name: c.Name})
	must(t, err)
	a.pass(10 * time.Minute)
	if got := a.describe("c1").Status; got != types.ClusterStatusDeleting {
		t.Errorf("while the control plane is still there the cluster is %s", got)
	}
	p.set(false, nil)
	a.pass(time.Second)
	_, err = a.api.DescribeCluster(t.Context(), &awseks.DescribeClusterInput{Name: c.Name})
	refused(t, err, "ResourceNotFoundException", "")
}

func TestClusterFailsWithItsControlPlane(t *testing.T) {
	t.Parallel()
	p := newPlanes()
	p.broken = errors.New("no memory left")
	a := newAccount(t, withPlanes(p))
	_, err := a.api.CreateCluster(t.Context(), a.request("c1"))
	must(t, err)
	a.pass(time.Second)
	if c := a.describe("c1"); c.Status != types.ClusterStatusFailed || *c.Health.Issues[0].Message != "no memory left" {
		t.Errorf("cluster is %s: %v", c.Status, c.Health.Issues)
	}
}

func TestControlPlaneIsToldOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	p := newPlanes()
	a := newAccount(t, withPlanes(p))
	a.cluster("c1")
	before := p.calls
	a.pass(time.Hour)
	if p.calls != before {
		t.Errorf("in an hour without changes the control plane was told %d times", p.calls-before)
	}
}
