// Package iam is AWS Identity and Access Management of the simulator: users with access keys, roles, managed and inline
// policies, instance profiles and OpenID Connect providers, and the CloudFormation providers of the AWS::IAM types.
//
// Inputs are the operations of the IAM API and resources of stacks; outputs are entities, and for the other services who a
// principal is (Principal, Credential, InstanceProfile). Policies are kept and checked for form; they grant and deny nothing,
// except that a role's trust policy decides who may assume it.
//
// Invariants: names are unique within their kind, whatever their case; an entity that something still hangs on is not deleted
// (DeleteConflict); other services see an entity only when it has spread, the duration "iam.propagation" after it was made.
package iam

import (
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/iam/policy"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// Key is a user that exists from the beginning, with the access key that its clients sign with.
type Key struct {
	User, AccessKey, Secret string
}

// Service is IAM of one account. Its methods run under the world's lock.
type Service struct {
	world *world.World
	keys  []Key
	state state
}

type state struct {
	Users     map[string]*user     // by lower-case name, as roles and profiles are
	Roles     map[string]*role     //
	Profiles  map[string]*profile  //
	Policies  map[string]*managed  // the customer's, by ARN
	Providers map[string]*provider // by ARN
}

// New makes the service with its first users and registers it with the world.
func New(w *world.World, keys []Key) *Service {
	s := &Service{world: w, keys: keys}
	s.fill()
	w.Register(world.Part{
		Name: "iam", State: &s.state,
		Loaded: func() error {
			s.fill()
			return s.seed()
		},
		Durations: map[string]time.Duration{
			// "it can take time for changes to become visible": seconds, in practice
			// (https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency).
			"iam.propagation": 5 * time.Second,
			// What CloudFormation takes for a role or an instance profile, its own wait for consistency included.
			"iam.role.stack":    15 * time.Second,
			"iam.profile.stack": 60 * time.Second,
			"iam.policy.stack":  5 * time.Second,
		},
	})
	return s
}

func (s *Service) fill() {
	ensure(&s.state.Users)
	ensure(&s.state.Roles)
	ensure(&s.state.Profiles)
	ensure(&s.state.Policies)
	ensure(&s.state.Providers)
}

func ensure[V any](m *map[string]V) {
	if *m == nil {
		*m = map[string]V{}
	}
}

// seed makes the first users unless an earlier process did.
func (s *Service) seed() error {
	for _, k := range s.keys {
		u, ok := s.state.Users[fold(k.User)]
		if !ok {
			var err error
			if u, err = s.makeUser(CreateUserInput{UserName: k.User}); err != nil {
				return err
			}
		}
		u.Keys[k.AccessKey] = accessKey{Secret: k.Secret, Status: "Active", Created: s.world.Now()}
	}
	return nil
}

// API is the service as the wire sees it.
func (s *Service) API() *wire.Service {
	api := &wire.Service{Name: "iam", Protocol: wire.Query, Version: "2010-05-08", Namespace: "https://iam.amazonaws.com/doc/2010-05-08/"}
	for _, group := range []map[string]wire.Handler{s.roleAPI(), s.inlineAPI(), s.policyAPI(), s.profileAPI(), s.providerAPI(), s.userAPI()} {
		for name, h := range group {
			api.Operation(name, h)
		}
	}
	return api
}

// Principal is a user or a role as other services see it.
type Principal struct {
	ARN, UniqueID string
	// Trusted are the services that may assume the role, and Actions what they may do. A user has neither.
	Trusted, Actions []string
}

// Principal finds a user or role by its ARN, once it has spread.
func (s *Service) Principal(arn string) (Principal, bool) {
	if r := s.state.Roles[fold(arn[strings.LastIndex(arn, "/")+1:])]; r != nil && s.roleARN(r) == arn && s.spread(r.Created) {
		p := Principal{ARN: arn, UniqueID: r.ID}
		if d, err := policy.Parse(r.Trust, policy.Trust); err == nil {
			p.Trusted, p.Actions = d.Trusted(), d.Actions()
		}
		return p, true
	}
	for _, u := range s.state.Users {
		if s.userARN(u) == arn && s.spread(u.Created) {
			return Principal{ARN: arn, UniqueID: u.ID}, true
		}
	}
	return Principal{}, false
}

func (s *Service) spread(created time.Time) bool {
	return !s.world.Now().Before(created.Add(s.world.Duration("iam.propagation")))
}

// Credential finds an active access key of a user.
func (s *Service) Credential(id string) (wire.Credential, bool) {
	for _, u := range s.state.Users {
		if k, ok := u.Keys[id]; ok && k.Status == "Active" {
			return wire.Credential{
				Secret: k.Secret,
				Caller: wire.Caller{AccessKey: id, ARN: s.userARN(u), Account: s.world.Account, UserID: u.ID},
			}, true
		}
	}
	return wire.Credential{}, false
}

// InstanceProfile finds an instance profile by name or ARN.
func (s *Service) InstanceProfile(nameOrARN string) (arn, id string, ok bool) {
	for _, p := range s.state.Profiles {
		if p.Name == nameOrARN || s.profileARN(p) == nameOrARN {
			return s.profileARN(p), p.ID, true
		}
	}
	return "", "", false
}

// RoleARN finds the role of a unique id ("AROA...").
func (s *Service) RoleARN(id string) (arn string, ok bool) {
	for _, r := range s.state.Roles {
		if r.ID == id {
			return s.roleARN(r), true
		}
	}
	return "", false
}

// Assumable tells of the role by ARN: whether the principal may assume it, for how long at most, and its unique id.
func (s *Service) Assumable(arn string, r policy.Request) (id string, limit time.Duration, ok bool) {
	for _, candidate := range s.state.Roles {
		if s.roleARN(candidate) != arn {
			continue
		}
		d, err := policy.Parse(candidate.Trust, policy.Trust)
		if err != nil || !d.Allows(r) {
			return "", 0, false
		}
		return candidate.ID, time.Duration(candidate.MaxSession) * time.Second, true
	}
	return "", 0, false
}
