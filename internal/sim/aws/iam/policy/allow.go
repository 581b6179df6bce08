package policy

import (
	"slices"
	"strings"
)

// Request is who asks a role's trust policy, or a resource's own policy, for what.
type Request struct {
	Action string // "sts:AssumeRole"
	// Kind and Name are the principal: "AWS" and an ARN, "Service" and a name, "Federated" and a provider's ARN.
	Kind, Name string
	// Session is the principal's further name, if it is a session of a role: "arn:aws:sts::...:assumed-role/role/session".
	Session string
	// Account is the principal's, for statements that trust a whole account.
	Account string
	// Resource is the ARN that a resource's own policy is asked about; trust policies name none.
	Resource string
	// Context are the condition keys known of the request ("sts:ExternalId", "aws:RequestTag/team").
	Context map[string]string
}

// Allows tells whether the document lets the request in: some statement allows it and none denies it.
func (d *Document) Allows(r Request) bool {
	allowed := false
	for _, s := range d.Statement {
		if !s.applies(r) {
			continue
		}
		if s.Effect == "Deny" {
			return false
		}
		allowed = true
	}
	return allowed
}

func (s Statement) applies(r Request) bool {
	acts := len(s.Action) > 0 && s.Action.matches(r.Action) || len(s.NotAction) > 0 && !s.NotAction.matches(r.Action)
	named := s.Principal.names(r)
	if s.Principal == nil {
		named = !s.NotPrincipal.names(r)
	}
	meant := s.Resource == nil || slices.ContainsFunc(s.Resource, func(pattern string) bool { return wildcard(pattern, r.Resource) })
	return acts && named && meant && s.fulfilled(r.Context)
}

func (t Texts) matches(value string) bool {
	return slices.ContainsFunc(t, func(pattern string) bool { return wildcard(strings.ToLower(pattern), strings.ToLower(value)) })
}

func (p *Principals) names(r Request) bool {
	if p == nil {
		return false
	}
	if p.Everybody {
		return true
	}
	for _, name := range p.ByKind[r.Kind] {
		if name == "*" || name == r.Name || r.Session != "" && name == r.Session {
			return true
		}
		if r.Kind == "AWS" && (name == r.Account || strings.HasSuffix(name, ":iam::"+r.Account+":root")) {
			return true
		}
	}
	return false
}

// fulfilled judges the operators that trust policies of EKS and eksctl use. An operator that is not among them fails.
func (s Statement) fulfilled(context map[string]string) bool {
	for operator, keys := range s.Condition {
		for key, wanted := range keys {
			value, known := lookup(context, key)
			if !judge(operator, value, known, wanted) {
				return false
			}
		}
	}
	return true
}

// lookup finds a condition key; their names ignore case.
func lookup(context map[string]string, key string) (string, bool) {
	for k, v := range context {
		if strings.EqualFold(k, key) {
			return v, true
		}
	}
	return "", false
}

func judge(operator, value string, known bool, wanted Texts) bool {
	name, optional := strings.CutSuffix(operator, "IfExists")
	if !known {
		return optional
	}
	switch name {
	case "StringEquals", "ArnEquals":
		return slices.Contains(wanted, value)
	case "StringEqualsIgnoreCase":
		return slices.ContainsFunc(wanted, func(w string) bool { return strings.EqualFold(w, value) })
	case "StringNotEquals":
		return !slices.Contains(wanted, value)
	case "StringLike", "ArnLike":
		return slices.ContainsFunc(wanted, func(w string) bool { return wildcard(w, value) })
	}
	return false
}

// wildcard matches * and ? as IAM does: * spans any characters, slashes too.
func wildcard(pattern, value string) bool {
	p, v, star, mark := 0, 0, -1, 0
	for v < len(value) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, v
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == value[v]):
			p++
			v++
		case star >= 0:
			mark++
			p, v = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// Trusted lists the services that the document lets assume the role.
func (d *Document) Trusted() []string {
	var out []string
	for _, s := range d.Statement {
		if s.Effect == "Allow" && s.Principal != nil {
			out = append(out, s.Principal.ByKind["Service"]...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Actions lists what trusted principals may do.
func (d *Document) Actions() []string {
	var out []string
	for _, s := range d.Statement {
		if s.Effect == "Allow" {
			out = append(out, s.Action...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
