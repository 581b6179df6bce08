package aws

import (
	"net/http"
	"path"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// Limit is a token bucket shared by the operations it names: Burst tokens at most, Rate new ones a second.
type Limit struct {
	Service string
	// Operations are glob patterns; the first Limit that has one matching an operation governs it. Each operation has a
	// bucket of its own.
	Operations []string
	Burst      float64
	Rate       float64
}

// DocumentedLimits are the request limits that AWS publishes for an account in a region
// (https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html). Services that publish none are not limited here;
// scripted faults throttle them.
func DocumentedLimits() []Limit {
	return []Limit{
		{Service: "ec2", Operations: []string{"RunInstances"}, Burst: 5, Rate: 2},
		{Service: "ec2", Operations: []string{"Describe*", "Get*", "Search*"}, Burst: 100, Rate: 20},
		{Service: "ec2", Operations: []string{"CreateVpcEndpoint", "DeleteVpcEndpoints", "ModifyVpcEndpoint"}, Burst: 4, Rate: 0.3},
		{Service: "ec2", Operations: []string{"*"}, Burst: 50, Rate: 5},
	}
}

// throttle holds the buckets. It is used under the pipeline's lock.
type throttle struct {
	limits  []Limit
	buckets map[string]*bucket
}

type bucket struct {
	tokens float64
	filled time.Time
}

// take tells whether the operation may go on now.
func (t *throttle) take(service, operation string, now time.Time) bool {
	for _, l := range t.limits {
		if l.Service != service || !l.covers(operation) {
			continue
		}
		key := service + ":" + operation
		b := t.buckets[key]
		if b == nil {
			b = &bucket{tokens: l.Burst, filled: now}
			t.buckets[key] = b
		}
		b.tokens = min(l.Burst, b.tokens+l.Rate*now.Sub(b.filled).Seconds())
		b.filled = now
		if b.tokens < 1 {
			return false
		}
		b.tokens--
		return true
	}
	return true
}

func (l Limit) covers(operation string) bool {
	for _, pattern := range l.Operations {
		if ok, err := path.Match(pattern, operation); err == nil && ok {
			return true
		}
	}
	return false
}

// throttled is the error with which each protocol's services say "slow down".
func throttled(s *wire.Service) *wire.Error {
	switch s.Protocol {
	case wire.EC2:
		return wire.StatusErrorf(http.StatusServiceUnavailable, "RequestLimitExceeded", "Request limit exceeded.")
	case wire.RESTJSON:
		return wire.StatusErrorf(http.StatusTooManyRequests, "ThrottlingException", "Rate exceeded")
	case wire.JSON:
		return wire.Errorf("ThrottlingException", "Rate exceeded")
	case wire.Query:
	}
	return wire.Errorf("Throttling", "Rate exceeded")
}
