// Package policy reads IAM policy documents: whether they are well formed, what they name, and whether a trust policy lets a
// principal in.
//
// Input is a document's JSON; outputs are a Document or the reason why IAM refuses it, in IAM's words.
//
// Invariant: a condition that this package cannot judge is not fulfilled. The simulator grants no more than AWS would.
package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Malformed is why IAM refuses a document, in its own words.
type Malformed string

func (m Malformed) Error() string { return string(m) }

const errSyntax = Malformed("Syntax errors in policy.")

// Kind is what a document is for.
type Kind int

// The kinds.
const (
	Identity Kind = iota // attached to a principal: has resources and no principals
	Trust                // who may assume a role: has principals and no resources
	Resource             // attached to a resource, such as a queue: has principals, and resources
)

// Document is a policy.
type Document struct {
	Version   string
	ID        string `json:"Id"`
	Statement Statements
}

// Statements is a list; a single statement may stand for itself.
type Statements []Statement

// UnmarshalJSON reads a statement or a list of them.
func (s *Statements) UnmarshalJSON(b []byte) error {
	if b = bytes.TrimSpace(b); len(b) > 0 && b[0] == '{' {
		b = slices.Concat([]byte("["), b, []byte("]"))
	}
	var list []Statement
	if err := strict(b, &list); err != nil {
		return err
	}
	*s = list
	return nil
}

// Statement is one rule.
type Statement struct {
	SID          string `json:"Sid"`
	Effect       string
	Principal    *Principals
	NotPrincipal *Principals
	Action       Texts
	NotAction    Texts
	Resource     Texts
	NotResource  Texts
	Condition    map[string]map[string]Texts
}

// Texts is a list of texts; a single one may stand for itself.
type Texts []string

// UnmarshalJSON reads a text or a list of texts; in conditions booleans and numbers count as text.
func (t *Texts) UnmarshalJSON(b []byte) error {
	if b = bytes.TrimSpace(b); len(b) > 0 && b[0] != '[' {
		b = slices.Concat([]byte("["), b, []byte("]"))
	}
	var list []any
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	*t = Texts{}
	for _, item := range list {
		switch v := item.(type) {
		case string:
			*t = append(*t, v)
		case bool, float64:
			*t = append(*t, fmt.Sprint(v))
		default:
			return errors.New("want text")
		}
	}
	return nil
}

// Principals are those a statement is about: by kind ("AWS", "Service", "Federated"), or everybody.
type Principals struct {
	Everybody bool
	ByKind    map[string]Texts
}

// UnmarshalJSON reads "*" or an object.
func (p *Principals) UnmarshalJSON(b []byte) error {
	var star string
	if json.Unmarshal(b, &star) == nil {
		p.Everybody = star == "*"
		if !p.Everybody {
			return fmt.Errorf("principal %q", star)
		}
		return nil
	}
	return json.Unmarshal(b, &p.ByKind)
}

func strict(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// Parse reads and checks a document. The error's text is what IAM says in MalformedPolicyDocument.
func Parse(text string, kind Kind) (*Document, error) {
	var d Document
	if err := strict([]byte(text), &d); err != nil {
		return nil, errSyntax
	}
	switch d.Version {
	case "", "2008-10-17", "2012-10-17":
	default:
		return nil, errSyntax
	}
	if len(d.Statement) == 0 {
		return nil, errSyntax
	}
	for _, s := range d.Statement {
		if err := s.check(kind); err != nil {
			return nil, err
		}
	}
	return &d, nil
}

func (s Statement) check(kind Kind) error {
	if s.Effect != "Allow" && s.Effect != "Deny" || (len(s.Action) == 0) == (len(s.NotAction) == 0) {
		return errSyntax
	}
	for _, action := range slices.Concat(s.Action, s.NotAction) {
		if service, name, _ := strings.Cut(action, ":"); action != "*" && (service == "" || name == "") {
			return Malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
		}
	}
	switch kind {
	case Trust:
		return s.checkTrust()
	case Resource:
		return s.checkResource()
	case Identity:
	}
	return s.checkIdentity()
}

func (s Statement) checkIdentity() error {
	switch {
	case s.Principal != nil || s.NotPrincipal != nil:
		return Malformed("Policy document should not specify a principal.")
	case (len(s.Resource) == 0) == (len(s.NotResource) == 0):
		return Malformed("Policy statement must contain resources.")
	}
	for _, r := range slices.Concat(s.Resource, s.NotResource) {
		if r != "*" && !strings.HasPrefix(r, "arn:") && !strings.HasPrefix(r, "*") {
			return Malformed(fmt.Sprintf("Resource %s must be in ARN format or \"*\".", r))
		}
	}
	return nil
}

func (s Statement) checkResource() error {
	if s.Principal == nil && s.NotPrincipal == nil {
		return Malformed("Missing required field Principal")
	}
	return nil
}

func (s Statement) checkTrust() error {
	switch {
	case len(s.Resource)+len(s.NotResource) > 0:
		return Malformed("Has prohibited field Resource")
	case s.Principal == nil && s.NotPrincipal == nil:
		return Malformed("Missing required field Principal")
	}
	for _, action := range s.Action {
		if !strings.HasPrefix(action, "sts:") && action != "*" {
			return Malformed("AssumeRole policy may only specify STS AssumeRole actions.")
		}
	}
	if s.Principal == nil {
		return nil
	}
	for kind, names := range s.Principal.ByKind {
		if !slices.Contains([]string{"AWS", "Service", "Federated", "CanonicalUser"}, kind) {
			return Malformed(fmt.Sprintf("Invalid principal in policy: \"%s\"", kind))
		}
		for _, name := range names {
			if kind == "Service" && !strings.Contains(name, ".") {
				return Malformed(fmt.Sprintf("Invalid principal in policy: \"SERVICE\":\"%s\"", name))
			}
		}
	}
	return nil
}
