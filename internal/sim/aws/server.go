package aws

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/autoscaling"
	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation"
	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudtrail"
	"github.com/eks-gitops/reconciler/internal/sim/aws/ec2"
	"github.com/eks-gitops/reconciler/internal/sim/aws/eks"
	"github.com/eks-gitops/reconciler/internal/sim/aws/eks/wiring"
	"github.com/eks-gitops/reconciler/internal/sim/aws/elb"
	"github.com/eks-gitops/reconciler/internal/sim/aws/elbv2"
	"github.com/eks-gitops/reconciler/internal/sim/aws/events"
	"github.com/eks-gitops/reconciler/internal/sim/aws/fault"
	"github.com/eks-gitops/reconciler/internal/sim/aws/iam"
	"github.com/eks-gitops/reconciler/internal/sim/aws/kms"
	"github.com/eks-gitops/reconciler/internal/sim/aws/logs"
	"github.com/eks-gitops/reconciler/internal/sim/aws/sqs"
	"github.com/eks-gitops/reconciler/internal/sim/aws/ssm"
	"github.com/eks-gitops/reconciler/internal/sim/aws/sts"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// Options are the simulator's settings. The zero value of every field but World.Clock is useful.
type Options struct {
	World world.Options
	// Keys are the first users and their access keys; without any there is DefaultKey.
	Keys []iam.Key
	// Limits throttle operations; nil throttles nothing. DocumentedLimits are AWS's.
	Limits []Limit
	// Lag is for how long a service goes on answering a question as it did the first time, by service title, "*" for all
	// others: eventual consistency as a client sees it.
	Lag map[string]time.Duration
	// LogSize is how many requests are kept; 0 means 4096.
	LogSize int
	// LogWriter receives every request as a line of JSON.
	LogWriter io.Writer
	// SignClock is the time that signers go by, where that is not World.Clock's; nil means it is.
	SignClock world.Clock

	// The hooks to real machines; nil where there are none.
	ControlPlanes eks.ControlPlanes
	Nodes         eks.Nodes
	Machines      ec2.Machines
	// Issuer gives the OIDC issuer URL of a cluster by the cluster's id; nil means AWS's own.
	Issuer func(id string) string
}

// DefaultKey is the access key of the user "admin", from AWS's documentation.
func DefaultKey() iam.Key {
	return iam.Key{User: "admin", AccessKey: "AKIAIOSFODNN7EXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
}

// Server is the whole simulator behind one http.Handler. The services are there for in-process use; their methods run under
// World.Do.
type Server struct {
	World *world.World

	AutoScaling    *autoscaling.Service
	CloudFormation *cloudformation.Service
	CloudTrail     *cloudtrail.Service
	EC2            *ec2.Service
	EKS            *eks.Service
	ELB            *elb.Service
	ELBv2          *elbv2.Service
	Events         *events.Service
	IAM            *iam.Service
	KMS            *kms.Service
	Logs           *logs.Service
	SQS            *sqs.Service
	SSM            *ssm.Service
	STS            *sts.Service

	endpoint wire.Endpoint
	pipeline *pipeline
	admin    http.Handler
	closing  sync.Once
	closed   chan struct{}
}

// New makes the simulator and loads the state that an earlier one left in World.Dir.
func New(o Options) (*Server, error) {
	w, err := world.New(o.World)
	if err != nil {
		return nil, err
	}
	s := &Server{World: w, closed: make(chan struct{})}
	if err := s.assemble(o); err != nil {
		return nil, err
	}
	if err := w.CheckDurations(); err != nil {
		return nil, err
	}
	s.connect(o)
	if err := w.Load(); err != nil {
		return nil, fmt.Errorf("loading the world: %w", err)
	}
	return s, nil
}

// assemble makes the services and introduces them to each other.
func (s *Server) assemble(o Options) error {
	keys := o.Keys
	if len(keys) == 0 {
		keys = []iam.Key{DefaultKey()}
	}
	w := s.World
	s.IAM = iam.New(w, keys)
	s.STS = sts.New(w, s.IAM)
	s.KMS = kms.New(w)
	s.Logs = logs.New(w)
	s.SSM = ssm.New(w)
	s.ELB = elb.New(w)
	s.ELBv2 = elbv2.New(w)
	s.CloudTrail = cloudtrail.New(w)
	s.SQS = sqs.New(w)
	s.Events = events.New(events.Options{World: w, Record: s.CloudTrail.Record, Deliver: s.SQS.Deliver})
	s.EC2 = ec2.New(w, ec2.Options{Images: images(w.Region), Machines: o.Machines, InstanceProfile: s.IAM.InstanceProfile})
	s.ELB.Network, s.ELBv2.Network = interfaces{s.EC2}, interfaces{s.EC2}
	s.AutoScaling = autoscaling.New(w, s.EC2)
	var err error
	s.EKS, err = eks.New(eks.Options{
		World: w, Planes: o.ControlPlanes, Nodes: o.Nodes, Issuer: o.Issuer, Verifier: s.verifier(o),
		Neighbours: wiring.Neighbours(wiring.Services{World: w, EC2: s.EC2, IAM: s.IAM, KMS: s.KMS, Logs: s.Logs, SSM: s.SSM}, groups{s.AutoScaling}),
	})
	if err != nil {
		return err
	}
	s.CloudFormation = cloudformation.New(w, s.EC2.ZoneNames)
	for _, types := range [][]cloudformation.ResourceType{
		s.IAM.ResourceTypes(), ec2.Providers(s.EC2), autoscaling.Providers(s.AutoScaling), s.EKS.ResourceTypes(), s.SQS.ResourceTypes(), s.Events.ResourceTypes(),
	} {
		s.CloudFormation.Provide(types...)
	}
	return nil
}

// Services lists the APIs that are served.
func (s *Server) Services() []*wire.Service { return s.endpoint.Services }

// connect puts the pipeline between the wire and the services.
func (s *Server) connect(o Options) {
	size := o.LogSize
	if size == 0 {
		size = defaultLogSize
	}
	s.pipeline = &pipeline{
		world: s.World, clock: o.World.Clock, faults: fault.NewScript(o.World.Seed), closed: s.closed,
		log:      &requestLog{size: size, out: o.LogWriter, log: s.World.Log()},
		throttle: throttle{limits: o.Limits, buckets: map[string]*bucket{}},
		memory:   memory{windows: o.Lag, answers: map[string]answer{}},
	}
	s.endpoint = wire.Endpoint{
		Services: []*wire.Service{
			s.AutoScaling.API(), s.CloudFormation.API(), s.CloudTrail.API(), s.EC2.API(), s.EKS.API(), s.ELB.API(), s.ELBv2.API(), s.IAM.API(), s.KMS.API(), s.Logs.API(), s.SQS.API(), s.SSM.API(), s.STS.API(),
		},
		Verifier: s.verifier(o),
		Around:   s.pipeline.around,
		Refused:  s.pipeline.refused,
	}
	s.admin = s.adminHandler()
}

// verifier checks signatures; it must not be used under the world's lock.
func (s *Server) verifier(o Options) wire.Verifier {
	return wire.Verifier{
		Keys: func(id string) (wire.Credential, bool) {
			var c wire.Credential
			var ok bool
			s.World.Look(func() {
				if c, ok = s.IAM.Credential(id); !ok {
					c, ok = s.STS.Credential(id)
				}
			})
			return c, ok
		},
		Clock: o.World.Clock, SignClock: o.SignClock, Region: s.World.Region,
	}
}

// ServeHTTP answers AWS requests, and those below /_sim/ from the administrator of the simulator.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if isAdmin(r) {
		s.admin.ServeHTTP(w, r)
		return
	}
	s.endpoint.ServeHTTP(w, r)
}

// Run lets time pass: it advances the world at every interval until ctx is done. Requests advance it too, so Run matters for
// what happens while nobody asks.
func (s *Server) Run(ctx context.Context, interval time.Duration) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := s.World.Advance(); err != nil {
				return fmt.Errorf("advancing the world: %w", err)
			}
		}
	}
}

// Close lets go of hanging requests. State needs no closing: it is on disk already.
func (s *Server) Close() { s.closing.Do(func() { close(s.closed) }) }

// Limit throttles operations from now on as Options.Limits does from the start, with full buckets.
func (s *Server) Limit(limits []Limit) {
	s.pipeline.mu.Lock()
	defer s.pipeline.mu.Unlock()
	s.pipeline.throttle = throttle{limits: limits, buckets: map[string]*bucket{}}
}

// Faults is the script of faults in force.
func (s *Server) Faults() *fault.Script { return s.pipeline.faults }

// Requests lists the kept requests after the one numbered seq, oldest first; 0 means all.
func (s *Server) Requests(seq int) []Request { return s.pipeline.log.since(seq) }
