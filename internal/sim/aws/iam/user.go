package iam

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

type user struct {
	Name, Path, ID string
	Created        time.Time
	Tags           world.Tags
	Keys           map[string]accessKey // by id
}

type accessKey struct {
	Secret, Status string
	Created        time.Time
}

func (s *Service) userARN(u *user) string { return s.world.GlobalARN("iam", "user"+u.Path+u.Name) }

func (s *Service) userAPI() map[string]wire.Handler {
	return map[string]wire.Handler{
		"CreateUser":      wire.Handle(s.createUser),
		"GetUser":         wire.Handle(s.getUser),
		"ListUsers":       wire.Handle(s.listUsers),
		"DeleteUser":      wire.Handle(s.deleteUser),
		"CreateAccessKey": wire.Handle(s.createAccessKey),
		"ListAccessKeys":  wire.Handle(s.listAccessKeys),
		"DeleteAccessKey": wire.Handle(s.deleteAccessKey),
		"UpdateAccessKey": wire.Handle(s.updateAccessKey),
	}
}

// User is a user on the wire.
type User struct {
	Path       string
	UserName   string
	UserID     string `xml:"UserId"`
	ARN        string `xml:"Arn"`
	CreateDate wire.Time
	Tags       []Tag `xml:"Tags>member,omitempty"`
}

func (s *Service) showUser(u *user) User {
	return User{Path: u.Path, UserName: u.Name, UserID: u.ID, ARN: s.userARN(u), CreateDate: wire.Time{Time: u.Created}, Tags: showTags(u.Tags)}
}

// UserOutput is a user.
type UserOutput struct{ User User }

// CreateUserInput describes a new user.
type CreateUserInput struct {
	UserName string
	Path     string
	Tags     []Tag
}

func (s *Service) createUser(_ context.Context, _ wire.Caller, in *CreateUserInput) (*UserOutput, error) {
	u, err := s.makeUser(*in)
	if err != nil {
		return nil, err
	}
	return &UserOutput{User: s.showUser(u)}, nil
}

func (s *Service) makeUser(in CreateUserInput) (*user, error) {
	path, err := checkPath(in.Path)
	if err != nil {
		return nil, err
	}
	if err := checkName("UserName", in.UserName, 64); err != nil {
		return nil, err
	}
	if _, ok := s.state.Users[fold(in.UserName)]; ok {
		return nil, exists("User with name %s already exists.", in.UserName)
	}
	tags, err := checkTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	u := &user{Name: in.UserName, Path: path, ID: s.world.Unique("AIDA"), Created: s.world.Now(), Tags: tags, Keys: map[string]accessKey{}}
	s.state.Users[fold(u.Name)] = u
	return u, nil
}

// UserInput names a user; without a name it is the caller.
type UserInput struct{ UserName string }

func (s *Service) findUser(name string, c wire.Caller) (*user, error) {
	if name == "" {
		_, name, _ = strings.Cut(c.ARN, ":user/")
		name = name[strings.LastIndexByte(name, '/')+1:]
	}
	if name == "" {
		return nil, wire.Errorf("ValidationError", "Must specify userName when calling with non-User credentials")
	}
	if u, ok := s.state.Users[fold(name)]; ok {
		return u, nil
	}
	return nil, noSuch("The user with name %s cannot be found.", name)
}

func (s *Service) getUser(_ context.Context, c wire.Caller, in *UserInput) (*UserOutput, error) {
	u, err := s.findUser(in.UserName, c)
	if err != nil {
		return nil, err
	}
	return &UserOutput{User: s.showUser(u)}, nil
}

// ListUsersOutput is one page of users.
type ListUsersOutput struct {
	Users []User `xml:"Users>member"`
	More
}

func (s *Service) listUsers(_ context.Context, _ wire.Caller, in *ListInput) (*ListUsersOutput, error) {
	all := []User{}
	for _, key := range slices.Sorted(maps.Keys(s.state.Users)) {
		if u := s.state.Users[key]; strings.HasPrefix(u.Path, in.PathPrefix) {
			shown := s.showUser(u)
			shown.Tags = nil // lists do not tell tags
			all = append(all, shown)
		}
	}
	part, more, err := paginate(all, func(u User) string { return fold(u.UserName) }, in.Page)
	if err != nil {
		return nil, err
	}
	return &ListUsersOutput{Users: part, More: more}, nil
}

func (s *Service) deleteUser(_ context.Context, c wire.Caller, in *UserInput) (*Nothing, error) {
	if in.UserName == "" {
		return nil, missing("UserName")
	}
	u, err := s.findUser(in.UserName, c)
	if err != nil {
		return nil, err
	}
	if len(u.Keys) > 0 {
		return nil, conflict("Cannot delete entity, must delete access keys first.")
	}
	delete(s.state.Users, fold(u.Name))
	return &Nothing{}, nil
}

// AccessKey is a new access key, with its secret.
type AccessKey struct {
	UserName        string
	AccessKeyID     string `xml:"AccessKeyId"`
	Status          string
	SecretAccessKey string `json:"-"` // never in a log
	CreateDate      wire.Time
}

// CreateAccessKeyOutput is a new access key.
type CreateAccessKeyOutput struct{ AccessKey AccessKey }

func (s *Service) createAccessKey(_ context.Context, c wire.Caller, in *UserInput) (*CreateAccessKeyOutput, error) {
	u, err := s.findUser(in.UserName, c)
	if err != nil {
		return nil, err
	}
	if len(u.Keys) >= 2 {
		return nil, exceeded("Cannot exceed quota for AccessKeysPerUser: 2")
	}
	id, k := s.world.Unique("AKIA")[:20], accessKey{Secret: s.world.Hex(40), Status: "Active", Created: s.world.Now()}
	u.Keys[id] = k
	return &CreateAccessKeyOutput{AccessKey: AccessKey{UserName: u.Name, AccessKeyID: id, Status: k.Status, SecretAccessKey: k.Secret, CreateDate: wire.Time{Time: k.Created}}}, nil
}

// ListAccessKeysInput asks for a user's access keys.
type ListAccessKeysInput struct {
	UserName string
	Page
}

// AccessKeyMetadata is an access key without its secret.
type AccessKeyMetadata struct {
	UserName    string
	AccessKeyID string `xml:"AccessKeyId"`
	Status      string
	CreateDate  wire.Time
}

// ListAccessKeysOutput is one page of access keys.
type ListAccessKeysOutput struct {
	AccessKeyMetadata []AccessKeyMetadata `xml:"AccessKeyMetadata>member"`
	More
}

func (s *Service) listAccessKeys(_ context.Context, c wire.Caller, in *ListAccessKeysInput) (*ListAccessKeysOutput, error) {
	u, err := s.findUser(in.UserName, c)
	if err != nil {
		return nil, err
	}
	all := []AccessKeyMetadata{}
	for _, id := range slices.Sorted(maps.Keys(u.Keys)) {
		all = append(all, AccessKeyMetadata{UserName: u.Name, AccessKeyID: id, Status: u.Keys[id].Status, CreateDate: wire.Time{Time: u.Keys[id].Created}})
	}
	part, more, err := paginate(all, func(k AccessKeyMetadata) string { return k.AccessKeyID }, in.Page)
	if err != nil {
		return nil, err
	}
	return &ListAccessKeysOutput{AccessKeyMetadata: part, More: more}, nil
}

// AccessKeyInput names an access key.
type AccessKeyInput struct {
	UserName    string
	AccessKeyID string `form:"AccessKeyId"`
}

func (s *Service) deleteAccessKey(_ context.Context, c wire.Caller, in *AccessKeyInput) (*Nothing, error) {
	u, err := s.findUser(in.UserName, c)
	if err != nil {
		return nil, err
	}
	if _, ok := u.Keys[in.AccessKeyID]; !ok {
		return nil, noSuch("The Access Key with id %s cannot be found.", in.AccessKeyID)
	}
	delete(u.Keys, in.AccessKeyID)
	return &Nothing{}, nil
}

// UpdateAccessKeyInput turns an access key on or off.
type UpdateAccessKeyInput struct {
	UserName    string
	AccessKeyID string `form:"AccessKeyId"`
	Status      string
}

func (s *Service) updateAccessKey(_ context.Context, c wire.Caller, in *UpdateAccessKeyInput) (*Nothing, error) {
	u, err := s.findUser(in.UserName, c)
	if err != nil {
		return nil, err
	}
	k, ok := u.Keys[in.AccessKeyID]
	if !ok {
		return nil, noSuch("The Access Key with id %s cannot be found.", in.AccessKeyID)
	}
	if in.Status != "Active" && in.Status != "Inactive" {
		return nil, wire.Errorf("ValidationError", "1 validation error detected: Value '%s' at 'status' failed to satisfy constraint: Member must satisfy enum value set: [Active, Inactive]", in.Status)
	}
	k.Status = in.Status
	u.Keys[in.AccessKeyID] = k
	return &Nothing{}, nil
}
