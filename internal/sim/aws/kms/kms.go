// Package kms is AWS Key Management Service of the simulator: symmetric keys, their states, aliases and tags, and encryption
// with them under an encryption context. EKS only asks whether a key exists and is enabled.
//
// Inputs are the operations of the KMS API; outputs are keys, and Key for other services.
//
// Invariants: a key is named by its id, its ARN, or an alias's name or ARN everywhere; a key that is pending deletion is
// neither enabled nor disabled until that is cancelled, and is gone when its window has passed.
package kms

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
)

// The states of keys.
const (
	Enabled         = "Enabled"
	Disabled        = "Disabled"
	PendingDeletion = "PendingDeletion"
)

// Service is KMS of one region. Its methods run under the world's lock.
type Service struct {
	world *world.World
	state state
}

type state struct {
	Keys    map[string]*key  // by id
	Aliases map[string]alias // by name, "alias/..."
}

type key struct {
	ID, Description, State string
	Created                time.Time
	Deletes                time.Time // while pending deletion
	Tags                   world.Tags
	Material               []byte
}

type alias struct {
	Target           string
	Created, Changed time.Time
}

// New makes the service and registers it with the world.
func New(w *world.World) *Service {
	s := &Service{world: w}
	fill := func() error {
		if s.state.Keys == nil {
			s.state.Keys = map[string]*key{}
		}
		if s.state.Aliases == nil {
			s.state.Aliases = map[string]alias{}
		}
		return nil
	}
	_ = fill() // never fails
	w.Register(world.Part{Name: "kms", State: &s.state, Advance: s.advance, Loaded: fill})
	return s
}

// advance removes keys whose waiting period is over. It is counted in days and not sped up: nobody waits for it.
func (s *Service) advance(now time.Time) bool {
	changed := false
	for id, k := range s.state.Keys {
		if k.State == PendingDeletion && !now.Before(k.Deletes) {
			delete(s.state.Keys, id)
			maps.DeleteFunc(s.state.Aliases, func(_ string, a alias) bool { return a.Target == id })
			changed = true
		}
	}
	return changed
}

// API is the service as the wire sees it.
func (s *Service) API() *wire.Service {
	api := &wire.Service{Name: "kms", Protocol: wire.JSON, Target: "TrentService"}
	api.Operation("CreateKey", wire.Handle(s.createKey))
	api.Operation("DescribeKey", wire.Handle(s.describeKey))
	api.Operation("ListKeys", wire.Handle(s.listKeys))
	api.Operation("Encrypt", wire.Handle(s.encrypt))
	api.Operation("Decrypt", wire.Handle(s.decrypt))
	api.Operation("GenerateDataKey", wire.Handle(s.generateDataKey))
	api.Operation("EnableKey", wire.Handle(s.enableKey))
	api.Operation("DisableKey", wire.Handle(s.disableKey))
	api.Operation("ScheduleKeyDeletion", wire.Handle(s.scheduleKeyDeletion))
	api.Operation("CancelKeyDeletion", wire.Handle(s.cancelKeyDeletion))
	api.Operation("CreateAlias", wire.Handle(s.createAlias))
	api.Operation("DeleteAlias", wire.Handle(s.deleteAlias))
	api.Operation("ListAliases", wire.Handle(s.listAliases))
	api.Operation("TagResource", wire.Handle(s.tagResource))
	api.Operation("UntagResource", wire.Handle(s.untagResource))
	api.Operation("ListResourceTags", wire.Handle(s.listResourceTags))
	return api
}

// Key finds a key by id, ARN or alias: its ARN and its state.
func (s *Service) Key(name string) (arn, state string, ok bool) {
	k, err := s.find(name)
	if err != nil {
		return "", "", false
	}
	return s.arn(k.ID), k.State, true
}

func (s *Service) arn(id string) string { return s.world.ARN("kms", "key/"+id) }

func (s *Service) find(name string) (*key, error) {
	id := strings.TrimPrefix(name, s.world.ARN("kms", ""))
	if a, ok := s.state.Aliases[id]; ok {
		id = a.Target
	}
	id = strings.TrimPrefix(id, "key/")
	if k, ok := s.state.Keys[id]; ok {
		return k, nil
	}
	if strings.HasPrefix(name, "arn:") {
		return nil, wire.Errorf("NotFoundException", "Key '%s' does not exist", name)
	}
	return nil, wire.Errorf("NotFoundException", "Key '%s' does not exist", s.arn(strings.TrimPrefix(name, "key/")))
}

// Metadata describes a key.
type Metadata struct {
	AWSAccountID          string     `json:"AWSAccountId"`
	KeyID                 string     `json:"KeyId"`
	ARN                   string     `json:"Arn"`
	CreationDate          *wire.Time `json:",omitempty"`
	Enabled               bool
	Description           string
	KeyUsage              string
	KeyState              string
	DeletionDate          *wire.Time `json:",omitempty"`
	Origin                string
	KeyManager            string
	CustomerMasterKeySpec string
	KeySpec               string
	EncryptionAlgorithms  []string
	MultiRegion           bool
}

func (s *Service) show(k *key) Metadata {
	return Metadata{
		AWSAccountID: s.world.Account, KeyID: k.ID, ARN: s.arn(k.ID), CreationDate: wire.At(k.Created), Enabled: k.State == Enabled,
		Description: k.Description, KeyUsage: "ENCRYPT_DECRYPT", KeyState: k.State, DeletionDate: wire.At(k.Deletes), Origin: "AWS_KMS",
		KeyManager: "CUSTOMER", CustomerMasterKeySpec: "SYMMETRIC_DEFAULT", KeySpec: "SYMMETRIC_DEFAULT", EncryptionAlgorithms: []string{"SYMMETRIC_DEFAULT"},
	}
}

// KeyOutput is a key's description.
type KeyOutput struct{ KeyMetadata Metadata }

// CreateKeyInput asks for a symmetric key, the only kind there is here.
type CreateKeyInput struct {
	Description string
	KeyUsage    string
	KeySpec     string
	Origin      string
	Tags        []Tag
}

func (s *Service) createKey(_ context.Context, _ wire.Caller, in *CreateKeyInput) (*KeyOutput, error) {
	for given, only := range map[string]string{in.KeyUsage: "ENCRYPT_DECRYPT", in.KeySpec: "SYMMETRIC_DEFAULT", in.Origin: "AWS_KMS"} {
		if given != "" && given != only {
			return nil, wire.Unsupported("kind of key %s", given)
		}
	}
	return &KeyOutput{KeyMetadata: s.show(s.add(in.Description, tags(in.Tags)))}, nil
}

func (s *Service) add(description string, tags world.Tags) *key {
	k := &key{ID: s.world.UUID(), Description: description, State: Enabled, Created: s.world.Now(), Tags: tags}
	s.state.Keys[k.ID] = k
	return k
}

// Make makes a key and returns its ARN.
func (s *Service) Make(description string) string { return s.arn(s.add(description, nil).ID) }

// KeyInput names a key.
type KeyInput struct {
	KeyID string `json:"KeyId"`
}

func (s *Service) describeKey(_ context.Context, _ wire.Caller, in *KeyInput) (*KeyOutput, error) {
	k, err := s.find(in.KeyID)
	if err != nil {
		return nil, err
	}
	return &KeyOutput{KeyMetadata: s.show(k)}, nil
}

// Page asks for a part of a list.
type Page struct {
	Limit  int
	Marker string
}

// KeyEntry is a key in a list.
type KeyEntry struct {
	KeyID  string `json:"KeyId"`
	KeyARN string `json:"KeyArn"`
}

// ListKeysOutput is one page of keys.
type ListKeysOutput struct {
	Keys       []KeyEntry
	NextMarker string `json:",omitempty"`
	Truncated  bool
}

func (s *Service) listKeys(_ context.Context, _ wire.Caller, in *Page) (*ListKeysOutput, error) {
	ids, next, err := page(slices.Collect(maps.Keys(s.state.Keys)), *in, 100)
	if err != nil {
		return nil, err
	}
	out := &ListKeysOutput{Keys: []KeyEntry{}, NextMarker: next, Truncated: next != ""}
	for _, id := range ids {
		out.Keys = append(out.Keys, KeyEntry{KeyID: id, KeyARN: s.arn(id)})
	}
	return out, nil
}

// page cuts one page out of names, in their order.
func page(names []string, p Page, limit int) (part []string, next string, err error) {
	if p.Limit > 0 {
		limit = p.Limit
	}
	part, next, ok := wire.Page(names, wire.Self, limit, p.Marker)
	if !ok {
		return nil, "", wire.Errorf("InvalidMarkerException", "The marker is not valid.")
	}
	return part, next, nil
}

// Nothing is an empty answer.
type Nothing struct{}

func (s *Service) enableKey(_ context.Context, _ wire.Caller, in *KeyInput) (*Nothing, error) {
	return s.turn(in.KeyID, Enabled)
}

func (s *Service) disableKey(_ context.Context, _ wire.Caller, in *KeyInput) (*Nothing, error) {
	return s.turn(in.KeyID, Disabled)
}

func (s *Service) turn(id, to string) (*Nothing, error) {
	k, err := s.findLiving(id)
	if err != nil {
		return nil, err
	}
	k.State = to
	return &Nothing{}, nil
}

// findLiving finds a key that may be changed.
func (s *Service) findLiving(id string) (*key, error) {
	k, err := s.find(id)
	if err == nil && k.State == PendingDeletion {
		return nil, wire.Errorf("KMSInvalidStateException", "%s is pending deletion.", s.arn(k.ID))
	}
	return k, err
}

// ScheduleKeyDeletionInput says when a key shall go.
type ScheduleKeyDeletionInput struct {
	KeyID               string `json:"KeyId"`
	PendingWindowInDays int
}

// ScheduleKeyDeletionOutput says when it will.
type ScheduleKeyDeletionOutput struct {
	KeyID               string     `json:"KeyId"`
	DeletionDate        *wire.Time `json:",omitempty"`
	KeyState            string     `json:",omitempty"`
	PendingWindowInDays int        `json:",omitempty"`
}

func (s *Service) scheduleKeyDeletion(_ context.Context, _ wire.Caller, in *ScheduleKeyDeletionInput) (*ScheduleKeyDeletionOutput, error) {
	days := in.PendingWindowInDays
	if days == 0 {
		days = 30
	}
	if days < 7 || days > 30 {
		return nil, wire.Errorf("ValidationException", "1 validation error detected: Value '%d' at 'pendingWindowInDays' failed to satisfy constraint: Member must be between 7 and 30", days)
	}
	k, err := s.findLiving(in.KeyID)
	if err != nil {
		return nil, err
	}
	k.State, k.Deletes = PendingDeletion, s.world.Now().AddDate(0, 0, days)
	return &ScheduleKeyDeletionOutput{KeyID: s.arn(k.ID), DeletionDate: wire.At(k.Deletes), KeyState: k.State, PendingWindowInDays: days}, nil
}

// CancelKeyDeletionOutput is the ARN of the key that stays, disabled.
type CancelKeyDeletionOutput struct {
	KeyID string `json:"KeyId"`
}

func (s *Service) cancelKeyDeletion(_ context.Context, _ wire.Caller, in *KeyInput) (*CancelKeyDeletionOutput, error) {
	k, err := s.find(in.KeyID)
	if err != nil {
		return nil, err
	}
	if k.State != PendingDeletion {
		return nil, wire.Errorf("KMSInvalidStateException", "%s is not pending deletion.", s.arn(k.ID))
	}
	k.State, k.Deletes = Disabled, time.Time{}
	return &CancelKeyDeletionOutput{KeyID: s.arn(k.ID)}, nil
}
