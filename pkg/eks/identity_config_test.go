package eks

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	simfault "github.com/eks-gitops/reconciler/internal/sim/aws/fault"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// federated is a cluster with an identity provider.
const federated = small + `identityProviders:
- type: oidc
  name: sso
  issuerURL: https://sso.example
  clientID: kubernetes
  groupsClaim: groups
  tags: {team: core}
`

// TestIdentityConfigLife associates an identity provider, changes it in place and by replacement, gives its place to another, and
// disassociates that, by a process that lives on and by one that is killed after every call.
func TestIdentityConfigLife(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart=%v", restart), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, small)
			r.restart = restart
			r.converge()
			r.git(federated)
			if calls := r.wrote(r.converge); !slices.Equal(calls, []string{"AssociateIdentityProviderConfig"}) {
				t.Errorf("associating it: %v", calls)
			}
			r.settled("association")

			r.git(strings.Replace(federated, "team: core", "team: sec", 1))
			if calls := r.wrote(r.converge); !slices.Equal(calls, []string{"TagResource"}) {
				t.Errorf("changing it: %v", calls)
			}
			again := []string{"DisassociateIdentityProviderConfig", "AssociateIdentityProviderConfig"}
			r.git(strings.Replace(federated, "clientID: kubernetes", "clientID: eks", 1))
			if c := find(t, r.plan(), KindIdentityProviderConfig, "sso"); c.Action != plan.Replace || !strings.Contains(c.Why, "clientID") {
				t.Errorf("%s: %s", c.Action, c.Why)
			}
			if calls := done(r.wrote(r.converge), again); calls != nil {
				t.Errorf("replacing it: %v", calls)
			}
			r.settled("replacement")

			r.git(strings.Replace(federated, "name: sso", "name: idp", 1))
			if c := find(t, r.plan(), KindIdentityProviderConfig, "idp"); !slices.Contains(c.Needs, ref("dev", KindIdentityProviderConfig, "sso")) {
				t.Errorf("it needs %v", c.Needs)
			}
			if calls := done(r.wrote(r.converge), again); calls != nil {
				t.Errorf("giving its place away: %v", calls)
			}
			r.settled("a new name")
			r.git(small)
			r.converge()
			r.settled("the end")
			if len(r.cloud.world.Logins) > 0 {
				t.Errorf("there are %v", r.cloud.world.Logins)
			}
		})
	}
}

// done is nil when calls are those that are wanted, apart from tags.
func done(calls, want []string) []string {
	calls = slices.DeleteFunc(calls, func(c string) bool { return c == "TagResource" })
	if slices.Equal(calls, want) {
		return nil
	}
	return calls
}

// TestIdentityConfigForeign: a provider that is not git's is in the way, and stays.
func TestIdentityConfigForeign(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	r.converge()
	if _, err := r.cloud.aws.eks.AssociateIdentityProviderConfig(t.Context(), &eks.AssociateIdentityProviderConfigInput{
		ClusterName: aws.String("dev"), Oidc: &ekstypes.OidcIdentityProviderConfigRequest{
			IdentityProviderConfigName: aws.String("theirs"), IssuerUrl: aws.String("https://theirs.example"), ClientId: aws.String("x"),
		},
	}); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		r.tick()
	}
	r.cloud.touch()
	if p := r.plan(); len(p.Changes) != 0 {
		t.Errorf("%s", describe(nil, p))
	}
	r.git(federated)
	p := r.plan()
	if e := note(t, p, gitops.Foreign); len(p.Changes) != 0 || p.Complete || e.From.Line == 0 || !strings.Contains(e.Try, "name=theirs") {
		t.Errorf("%s", describe(nil, p))
	}
	r.git(strings.NewReplacer("sso.example", "theirs.example", "sso", "theirs", "clientID: kubernetes\n  groupsClaim: groups", "clientID: x").Replace(federated))
	if c := find(t, r.plan(), KindIdentityProviderConfig, "theirs"); c.Action != plan.Update {
		t.Errorf("%s", c.Action)
	}
}

// TestIdentityConfigRefused: what EKS does not accept is told in its words, and while another update runs it waits.
func TestIdentityConfigRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, small)
	r.converge()
	r.git(strings.Replace(federated, "https://", "http://", 1))
	c := find(t, r.plan(), KindIdentityProviderConfig, "sso")
	if err := r.cloud.Apply(t.Context(), c); !errors.Is(err, &gitops.Error{Reason: gitops.ApplyFailed}) || !strings.Contains(err.Error(), "must begin with https://") {
		t.Errorf("Apply gave %v", err)
	}
	r.git(federated)
	if _, err := r.Faults().Add(simfault.Rule{
		Service: "eks", Operation: "AssociateIdentityProviderConfig", Effect: simfault.Fail, Code: "ResourceInUseException", Message: "an update is in progress", Status: 409, Count: 20,
	}); err != nil {
		t.Fatal(err)
	}
	r.converge()
	r.settled("waiting")
}
