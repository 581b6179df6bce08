package ec2

import (
	"context"
	"crypto/md5" // EC2 shows MD5 fingerprints of imported RSA keys
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"time"

	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// KeyPair is the public half of an SSH key pair.
type KeyPair struct {
	ID, Name, Type, Fingerprint, Material string
	Created                               time.Time
}

// KeyPairInfo is a key pair as the API shows it.
type KeyPairInfo struct {
	KeyPairID      string    `xml:"keyPairId"`
	KeyType        string    `xml:"keyType"`
	Tags           []Tag     `xml:"tagSet>item"`
	PublicKey      string    `xml:"publicKey,omitempty"`
	CreateTime     wire.Time `xml:"createTime"`
	KeyName        string    `xml:"keyName"`
	KeyFingerprint string    `xml:"keyFingerprint"`
}

// ImportKeyPairInput is the request of ImportKeyPair.
type ImportKeyPairInput struct {
	Dry
	KeyName           string
	PublicKeyMaterial []byte
	TagSpecifications []TagSpecification `form:"TagSpecification"`
}

// ImportKeyPairOutput is the answer of ImportKeyPair.
type ImportKeyPairOutput struct {
	KeyFingerprint string `xml:"keyFingerprint"`
	KeyName        string `xml:"keyName"`
	KeyPairID      string `xml:"keyPairId"`
	Tags           []Tag  `xml:"tagSet>item"`
}

// ImportKeyPair stores a public key.
func (s *Service) ImportKeyPair(_ context.Context, _ wire.Caller, in *ImportKeyPairInput) (*ImportKeyPairOutput, error) {
	if s.keyPair(in.KeyName) != nil {
		return nil, wire.Errorf("InvalidKeyPair.Duplicate", "The keypair already exists")
	}
	tags, err := specified(in.TagSpecifications, "key-pair")
	if err != nil {
		return nil, err
	}
	k := &KeyPair{ID: s.world.ID("key"), Name: in.KeyName, Material: strings.TrimSpace(string(in.PublicKeyMaterial)), Created: s.world.Now()}
	if k.Type, k.Fingerprint, err = fingerprint(k.Material); err != nil {
		return nil, err
	}
	s.state.KeyPairs[k.ID] = k
	s.SetTags(k.ID, tags)
	return &ImportKeyPairOutput{KeyFingerprint: k.Fingerprint, KeyName: k.Name, KeyPairID: k.ID, Tags: s.tagList(k.ID)}, nil
}

// fingerprint follows https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/verify-keys.html as far as the OpenSSH form tells.
func fingerprint(material string) (kind, print string, err error) {
	fields := strings.Fields(material)
	if len(fields) >= 2 {
		if blob, err := base64.StdEncoding.DecodeString(fields[1]); err == nil {
			switch fields[0] {
			case "ssh-rsa":
				sum := md5.Sum(blob)
				return "rsa", colons(sum[:]), nil
			case "ssh-ed25519":
				sum := sha256.Sum256(blob)
				return "ed25519", base64.StdEncoding.EncodeToString(sum[:]), nil
			}
		}
	}
	return "", "", wire.Errorf("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
}

func colons(b []byte) string {
	parts := make([]string, len(b))
	for i := range b {
		parts[i] = hex.EncodeToString(b[i : i+1])
	}
	return strings.Join(parts, ":")
}

func (s *Service) keyPair(name string) *KeyPair {
	for _, k := range s.state.KeyPairs {
		if k.Name == name {
			return k
		}
	}
	return nil
}

// DeleteKeyPairInput is the request of DeleteKeyPair.
type DeleteKeyPairInput struct {
	Dry
	KeyName   string
	KeyPairID string `form:"KeyPairId"`
}

// DeleteKeyPairOutput is the answer of DeleteKeyPair.
type DeleteKeyPairOutput struct {
	Return    bool   `xml:"return"`
	KeyPairID string `xml:"keyPairId,omitempty"`
}

// DeleteKeyPair deletes a key pair. Deleting what is not there is no error.
func (s *Service) DeleteKeyPair(_ context.Context, _ wire.Caller, in *DeleteKeyPairInput) (*DeleteKeyPairOutput, error) {
	k := s.state.KeyPairs[in.KeyPairID]
	if k == nil {
		k = s.keyPair(in.KeyName)
	}
	if k == nil {
		return &DeleteKeyPairOutput{Return: true}, nil
	}
	delete(s.state.KeyPairs, k.ID)
	delete(s.state.Tags, k.ID)
	return &DeleteKeyPairOutput{Return: true, KeyPairID: k.ID}, nil
}

// DescribeKeyPairsInput is the request of DescribeKeyPairs.
type DescribeKeyPairsInput struct {
	Dry
	KeyNames         []string `form:"KeyName"`
	KeyPairIDs       []string `form:"KeyPairId"`
	IncludePublicKey bool
	Filters          []Filter `form:"Filter"`
}

// DescribeKeyPairsOutput is the answer of DescribeKeyPairs.
type DescribeKeyPairsOutput struct {
	KeyPairs []KeyPairInfo `xml:"keySet>item"`
}

// DescribeKeyPairs lists key pairs.
func (s *Service) DescribeKeyPairs(_ context.Context, _ wire.Caller, in *DescribeKeyPairsInput) (*DescribeKeyPairsOutput, error) {
	ids := in.KeyPairIDs
	for _, name := range in.KeyNames {
		k := s.keyPair(name)
		if k == nil {
			return nil, wire.Errorf("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", name)
		}
		ids = append(ids, k.ID)
	}
	pairs := kind[KeyPair]{
		all: s.state.KeyPairs, missing: notFound("InvalidKeyPair.NotFound", "key pair"),
		values: func(k *KeyPair, name string) ([]string, bool) {
			v, ok := map[string]string{"key-pair-id": k.ID, "key-name": k.Name, "fingerprint": k.Fingerprint}[name]
			return one(v), ok
		},
	}
	found, _, err := find(s, pairs, ids, Query{Filters: in.Filters})
	if err != nil {
		return nil, err
	}
	out := &DescribeKeyPairsOutput{}
	for _, k := range found {
		shown := KeyPairInfo{KeyPairID: k.ID, KeyType: k.Type, Tags: s.tagList(k.ID), CreateTime: wire.Time{Time: k.Created}, KeyName: k.Name, KeyFingerprint: k.Fingerprint}
		if in.IncludePublicKey {
			shown.PublicKey = k.Material
		}
		out.KeyPairs = append(out.KeyPairs, shown)
	}
	return out, nil
}
