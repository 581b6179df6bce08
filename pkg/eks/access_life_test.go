package eks

import (
	"strings"
	"testing"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	simfault "github.com/eks-gitops/reconciler/internal/sim/aws/fault"
)

// admitting is a cluster with an access entry, Fargate profiles and an identity provider.
func admitting() string {
	return staffed + strings.TrimPrefix(serverless, small) + strings.TrimPrefix(federated, small)
}

// readmitting is that cluster with everything changed, in place or by replacement.
func readmitting() string {
	return strings.NewReplacer("[viewers]", "[editors]", "AmazonEKSViewPolicy", "AmazonEKSEditPolicy", "team: ", "group: ", "namespace: batch", "namespace: night", "name: sso", "name: idp").Replace(admitting())
}

// TestAccessFaulty: entries, profiles and identity providers come, change and go while AWS throttles, fails, and does things
// without the answer arriving.
func TestAccessFaulty(t *testing.T) {
	t.Parallel()
	r := newRig(t, admitting()).teams()
	r.tolerant = true
	for _, rule := range []simfault.Rule{
		{Operation: "*ssociate*", Effect: simfault.Drop, Probability: 0.3},
		{Operation: "Create*", Effect: simfault.Drop, Probability: 0.3},
		{Operation: "Delete*", Effect: simfault.Drop, Probability: 0.3},
		{Operation: "Describe*", Effect: simfault.Throttle, Probability: 0.1},
		{Operation: "*", Effect: simfault.Fail, Code: "InternalFailure", Message: "try later", Status: 500, Probability: 0.1},
	} {
		if _, err := r.Faults().Add(rule); err != nil {
			t.Fatal(err)
		}
	}
	for _, body := range []string{admitting(), readmitting(), small} {
		r.git(body)
		r.converge()
	}
	r.Faults().Clear("")
	r.settled("faults")
}

// TestAccessLagging: the same while AWS goes on answering as it did before for a while.
func TestAccessLagging(t *testing.T) {
	t.Parallel()
	r := newRigOn(t, admitting(), aws.Options{Lag: map[string]time.Duration{"*": 45 * time.Second}}).teams()
	for _, body := range []string{admitting(), readmitting(), small} {
		r.git(body)
		r.converge()
	}
	r.Clock.Move(time.Minute)
	r.settled("lag")
}
