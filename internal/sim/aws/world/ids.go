package world

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// ids is the source of everything random. Its state is part of the world's, so that a restarted world does not hand out
// an id twice.
type ids struct{ pcg *rand.PCG }

func newIDs(seed uint64) *ids { return &ids{pcg: rand.NewPCG(seed, 0x5851f42d4c957f2d)} }

func (i *ids) MarshalJSON() ([]byte, error) {
	b, err := i.pcg.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("encoding the source of ids: %w", err)
	}
	return json.Marshal(map[string][]byte{"source": b})
}

func (i *ids) UnmarshalJSON(b []byte) error {
	var state map[string][]byte
	if err := json.Unmarshal(b, &state); err != nil {
		return err
	}
	return i.pcg.UnmarshalBinary(state["source"])
}

const (
	hexDigits   = "0123456789abcdef"
	upperDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	base32Upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
)

func (w *World) random(n int, alphabet string) string {
	var b strings.Builder
	for range n {
		b.WriteByte(alphabet[w.ids.pcg.Uint64()%uint64(len(alphabet))])
	}
	return b.String()
}

// ID makes an id in EC2's form: the prefix, a dash, "0" and 16 hex digits ("vpc-0a1b2c3d4e5f60718").
func (w *World) ID(prefix string) string { return prefix + "-0" + w.random(16, hexDigits) }

// Hex makes n hex digits.
func (w *World) Hex(n int) string { return w.random(n, hexDigits) }

// Upper makes n upper-case letters and digits, as in the names that CloudFormation generates and in EKS's issuer ids.
func (w *World) Upper(n int) string { return w.random(n, upperDigits) }

// Unique makes an IAM unique id: a prefix such as "AROA" and base32 digits, 21 characters in all
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids).
func (w *World) Unique(prefix string) string { return prefix + w.random(21-len(prefix), base32Upper) }

// UUID makes a random (version 4) UUID.
func (w *World) UUID() string {
	h := w.Hex(30)
	return fmt.Sprintf("%s-%s-4%s-%c%s-%s", h[:8], h[8:12], h[12:15], "89ab"[w.ids.pcg.Uint64()%4], h[15:18], h[18:30])
}

// Float makes a number in [0, 1).
func (w *World) Float() float64 { return float64(w.ids.pcg.Uint64()>>11) / (1 << 53) }

// Below makes a number in [0, n).
func (w *World) Below(n int) int { return int(w.ids.pcg.Uint64() % uint64(n)) }

// ARN names a resource of a regional service: arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE.
func (w *World) ARN(service, resource string) string {
	return fmt.Sprintf("arn:%s:%s:%s:%s:%s", w.Partition, service, w.Region, w.Account, resource)
}

// GlobalARN names a resource of a service without regions (IAM, STS): arn:aws:iam::ACCOUNT:RESOURCE.
func (w *World) GlobalARN(service, resource string) string {
	return fmt.Sprintf("arn:%s:%s::%s:%s", w.Partition, service, w.Account, resource)
}

// DNSSuffix is the partition's domain for services ("amazonaws.com").
func (w *World) DNSSuffix() string {
	if w.Partition == "aws-cn" {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}
