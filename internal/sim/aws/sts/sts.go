// Package sts is AWS Security Token Service of the simulator: who a caller is, and temporary credentials for roles.
//
// Inputs are signed requests and the trust policies of IAM's roles; outputs are identities and credentials that the
// simulator's own signature check accepts (Credential).
//
// Invariant: temporary credentials are given only to principals that the role's trust policy lets in, and are accepted only
// until they expire.
package sts

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/iam/policy"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// Roles are IAM's roles, as far as assuming them goes.
type Roles interface {
	// Assumable tells whether the request may assume the role, its unique id and its longest session.
	Assumable(arn string, r policy.Request) (id string, limit time.Duration, ok bool)
	// RoleARN finds the role of a unique id ("AROA...").
	RoleARN(id string) (arn string, ok bool)
}

// Service is STS. Its methods run under the world's lock.
type Service struct {
	world *world.World
	roles Roles
	state state
}

type state struct{ Sessions map[string]*session } // by access key

type session struct {
	Secret, Token string
	ARN, UserID   string
	Expires       time.Time
}

// New makes the service and registers it with the world.
func New(w *world.World, roles Roles) *Service {
	s := &Service{world: w, roles: roles, state: state{Sessions: map[string]*session{}}}
	w.Register(world.Part{Name: "sts", State: &s.state, Advance: s.advance, Loaded: func() error {
		if s.state.Sessions == nil {
			s.state.Sessions = map[string]*session{}
		}
		return nil
	}})
	return s
}

// advance forgets credentials that expired a day ago; until then they are known, and refused as expired.
func (s *Service) advance(now time.Time) bool {
	changed := false
	for key, one := range s.state.Sessions {
		if now.After(one.Expires.Add(24 * time.Hour)) {
			delete(s.state.Sessions, key)
			changed = true
		}
	}
	return changed
}

// Credential finds temporary credentials by their access key.
func (s *Service) Credential(id string) (wire.Credential, bool) {
	one, ok := s.state.Sessions[id]
	if !ok {
		return wire.Credential{}, false
	}
	return wire.Credential{
		Secret: one.Secret, SessionToken: one.Token, Expires: one.Expires,
		Caller: wire.Caller{AccessKey: id, ARN: one.ARN, Account: s.world.Account, UserID: one.UserID},
	}, true
}

// API is the service as the wire sees it.
func (s *Service) API() *wire.Service {
	api := &wire.Service{Name: "sts", Protocol: wire.Query, Version: "2011-06-15", Namespace: "https://sts.amazonaws.com/doc/2011-06-15/"}
	api.Operation("GetCallerIdentity", wire.Handle(s.getCallerIdentity))
	api.Operation("AssumeRole", wire.Handle(s.assumeRole))
	api.Operation("GetSessionToken", wire.Handle(s.getSessionToken)).Writes = true
	api.Operation("GetAccessKeyInfo", wire.Handle(s.getAccessKeyInfo))
	return api
}

// Nothing is an empty question.
type Nothing struct{}

// GetCallerIdentityOutput is who asked.
type GetCallerIdentityOutput struct {
	ARN     string `xml:"Arn"`
	UserID  string `xml:"UserId"`
	Account string
}

func (s *Service) getCallerIdentity(_ context.Context, c wire.Caller, _ *Nothing) (*GetCallerIdentityOutput, error) {
	return &GetCallerIdentityOutput{ARN: c.ARN, UserID: c.UserID, Account: c.Account}, nil
}

// Tag is a session tag.
type Tag struct{ Key, Value string }

// AssumeRoleInput asks for credentials of a role. Session policies are not among what is understood here: they would take
// rights away, and no rights are judged.
type AssumeRoleInput struct {
	RoleARN           string `form:"RoleArn"`
	RoleSessionName   string
	DurationSeconds   *int
	ExternalID        string `form:"ExternalId"`
	Tags              []Tag
	TransitiveTagKeys []string
	SourceIdentity    string
}

// Credentials are temporary credentials.
type Credentials struct {
	AccessKeyID     string `xml:"AccessKeyId"`
	SecretAccessKey string `json:"-"` // never in a log
	SessionToken    string `json:"-"` // never in a log
	Expiration      wire.Time
}

// AssumedRoleUser is whom the credentials stand for.
type AssumedRoleUser struct {
	AssumedRoleID string `xml:"AssumedRoleId"`
	ARN           string `xml:"Arn"`
}

// AssumeRoleOutput is credentials of a role.
type AssumeRoleOutput struct {
	Credentials     Credentials
	AssumedRoleUser AssumedRoleUser
	SourceIdentity  string `xml:",omitempty"`
}

var (
	sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	externalID  = regexp.MustCompile(`^[\w+=,.@:/-]{2,}$`)
)

const externalIDLength = 1224

func (s *Service) assumeRole(_ context.Context, c wire.Caller, in *AssumeRoleInput) (*AssumeRoleOutput, error) {
	if !sessionName.MatchString(in.RoleSessionName) {
		return nil, wire.Errorf("ValidationError", "1 validation error detected: Value '%s' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*", in.RoleSessionName)
	}
	if in.ExternalID != "" && (len(in.ExternalID) > externalIDLength || !externalID.MatchString(in.ExternalID)) {
		return nil, wire.Errorf("ValidationError", "1 validation error detected: Value '%s' at 'externalId' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@:\\/-]*", in.ExternalID)
	}
	if !strings.HasPrefix(in.RoleARN, "arn:") {
		return nil, wire.Errorf("ValidationError", "%s is invalid", in.RoleARN)
	}
	id, limit, ok := s.roles.Assumable(in.RoleARN, s.request(c, in))
	if !ok {
		// AWS does not tell a missing role from a forbidden one.
		return nil, wire.StatusErrorf(http.StatusForbidden, "AccessDenied", "User: %s is not authorized to perform: sts:AssumeRole on resource: %s", c.ARN, in.RoleARN)
	}
	if strings.Contains(c.ARN, ":assumed-role/") {
		limit = time.Hour // role chaining (https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining)
	}
	lifetime, err := lifetime(in.DurationSeconds, time.Hour, 15*time.Minute, limit)
	if err != nil {
		return nil, err
	}
	name := in.RoleARN[strings.LastIndexByte(in.RoleARN, '/')+1:]
	arn := s.world.GlobalARN("sts", "assumed-role/"+name+"/"+in.RoleSessionName)
	userID := id + ":" + in.RoleSessionName
	return &AssumeRoleOutput{
		Credentials: s.issue(session{ARN: arn, UserID: userID}, lifetime), AssumedRoleUser: AssumedRoleUser{AssumedRoleID: userID, ARN: arn},
		SourceIdentity: in.SourceIdentity,
	}, nil
}

// request is what a trust policy judges.
func (s *Service) request(c wire.Caller, in *AssumeRoleInput) policy.Request {
	r := policy.Request{Action: "sts:AssumeRole", Kind: "AWS", Name: c.ARN, Account: c.Account, Context: map[string]string{"sts:RoleSessionName": in.RoleSessionName, "aws:PrincipalArn": c.ARN}}
	id, _, _ := strings.Cut(c.UserID, ":")
	if role, ok := s.roles.RoleARN(id); ok {
		r.Name, r.Session = role, c.ARN // in trust policies a session acts under its role's name too
		r.Context["aws:PrincipalArn"] = role
	}
	for key, value := range map[string]string{"sts:ExternalId": in.ExternalID, "sts:SourceIdentity": in.SourceIdentity} {
		if value != "" {
			r.Context[key] = value
		}
	}
	for _, t := range in.Tags {
		r.Context["aws:RequestTag/"+t.Key] = t.Value
	}
	return r
}

func lifetime(seconds *int, byDefault, least, most time.Duration) (time.Duration, error) {
	if seconds == nil {
		return min(byDefault, most), nil
	}
	d := time.Duration(*seconds) * time.Second
	if d < least {
		return 0, wire.Errorf("ValidationError", "1 validation error detected: Value '%d' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to %d", *seconds, int(least.Seconds()))
	}
	if d > most {
		return 0, wire.Errorf("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	return d, nil
}

func (s *Service) issue(one session, lifetime time.Duration) Credentials {
	id := s.world.Unique("ASIA")[:20]
	one.Secret, one.Token, one.Expires = s.world.Hex(40), "FwoGZXIvYXdzE"+s.world.Hex(160), s.world.Now().Add(lifetime)
	s.state.Sessions[id] = &one
	return Credentials{AccessKeyID: id, SecretAccessKey: one.Secret, SessionToken: one.Token, Expiration: wire.Time{Time: one.Expires}}
}

// GetSessionTokenInput asks for temporary credentials of the caller.
type GetSessionTokenInput struct{ DurationSeconds *int }

// GetSessionTokenOutput is temporary credentials of the caller.
type GetSessionTokenOutput struct{ Credentials Credentials }

func (s *Service) getSessionToken(_ context.Context, c wire.Caller, in *GetSessionTokenInput) (*GetSessionTokenOutput, error) {
	if !strings.Contains(c.ARN, ":user/") {
		return nil, wire.StatusErrorf(http.StatusForbidden, "AccessDenied", "Cannot call GetSessionToken with session credentials")
	}
	d, err := lifetime(in.DurationSeconds, 12*time.Hour, 15*time.Minute, 36*time.Hour)
	if err != nil {
		return nil, err
	}
	return &GetSessionTokenOutput{Credentials: s.issue(session{ARN: c.ARN, UserID: c.UserID}, d)}, nil
}

// GetAccessKeyInfoInput names an access key.
type GetAccessKeyInfoInput struct {
	AccessKeyID string `form:"AccessKeyId"`
}

// GetAccessKeyInfoOutput is the account of an access key.
type GetAccessKeyInfoOutput struct{ Account string }

func (s *Service) getAccessKeyInfo(_ context.Context, _ wire.Caller, in *GetAccessKeyInfoInput) (*GetAccessKeyInfoOutput, error) {
	if len(in.AccessKeyID) < 16 {
		return nil, wire.Errorf("ValidationError", "1 validation error detected: Value '%s' at 'accessKeyId' failed to satisfy constraint: Member must have length greater than or equal to 16", in.AccessKeyID)
	}
	return &GetAccessKeyInfoOutput{Account: s.world.Account}, nil
}
