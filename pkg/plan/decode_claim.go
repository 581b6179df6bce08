package plan

import (
	"fmt"
	"maps"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// claim reads what picks fields, together with further fields of the rule it is part of.
func (d *decoder) claim(into *Claim, path string, v any, further map[string]func(string, any)) {
	fields := map[string]func(string, any){
		"kinds": d.texts(&into.Kinds), "namespaces": d.texts(&into.Namespaces), "names": d.texts(&into.Names), "managers": d.texts(&into.Managers),
		"fields": d.list(func(path string, v any) { d.pattern(&into.Fields, path, v) }),
	}
	maps.Copy(fields, further)
	d.object(path, v, fields)
	if m, ok := v.(gitops.Tree); ok && m["fields"] == nil && m["managers"] == nil && m["jq"] == nil {
		d.problem(path, "name fields, managers or both, such as fields: [spec.replicas]")
	}
}

func (d *decoder) pattern(into *[]Pattern, path string, v any) {
	var field string
	d.text(&field)(path, v)
	if field == "" {
		return
	}
	p, err := ParsePattern(field)
	switch {
	case err != nil:
		d.problem(path, "%s", err)
	case protected(p.steps):
		d.problem(path, "%s names the object itself, which is git's", field)
	default:
		*into = append(*into, p)
	}
}

func (d *decoder) query(into *[]Query, path string, v any) {
	var program string
	d.text(&program)(path, v)
	if program == "" {
		return
	}
	q, err := d.checks.Query(program)
	if err != nil {
		d.problem(path, "%q: %s", program, err)
		return
	}
	*into = append(*into, q)
}

// at is the place of a field, else of the file.
func (d *decoder) at(path string) gitops.Position {
	if at, ok := nearest(d.from.Fields, path); ok {
		return at
	}
	return d.from.Position
}

func (d *decoder) ignore(rules *Rules, path string, v any) {
	rule := Ignore{From: d.at(path)}
	d.claim(&rule.Claim, path, v, map[string]func(string, any){
		"jq": d.list(func(path string, v any) { d.query(&rule.Queries, path, v) }),
	})
	rules.Ignore = append(rules.Ignore, rule)
}

func (d *decoder) conflict(rules *Rules, path string, v any) {
	var rule Conflict
	d.claim(&rule.Claim, path, v, map[string]func(string, any){"ruling": func(path string, v any) {
		text, _ := v.(string)
		switch rule.Ruling = Ruling(text); rule.Ruling {
		case RulingTake, RulingLeave, RulingHold:
		default:
			d.problem(path, "want take (git wins), leave (they keep it) or hold (a person decides), not %s", kindOf(v))
		}
	}})
	if m, ok := v.(gitops.Tree); ok {
		if _, said := m["ruling"]; !said {
			d.problem(path, "ruling is missing: take, leave or hold")
		}
	}
	rules.Conflicts = append(rules.Conflicts, rule)
}

func (d *decoder) health(rules *Rules, path string, v any) {
	rule := HealthRule{From: d.at(path)}
	before := len(d.problems)
	d.object(path, v, map[string]func(string, any){
		"group": d.text(&rule.Group), "kind": d.text(&rule.Kind),
		"ready": d.expression(&rule.Ready, d.checks.Condition), "failed": d.expression(&rule.Failed, d.checks.Condition),
		"message": d.expression(&rule.Message, d.checks.Message),
	})
	switch {
	case len(d.problems) > before:
		return
	case rule.Kind == "" || rule.Ready == "":
		d.problem(path, "kind and ready are both needed")
		return
	case rule.Group == "" && rule.Kind == "Secret":
		d.problem(path, "a Secret has no health, and its content must not get into messages")
		return
	}
	for _, other := range rules.Health {
		if other.Group == rule.Group && other.Kind == rule.Kind {
			d.problem(path, "there is a rule for this kind already, at %s", other.From)
			return
		}
	}
	rules.Health = append(rules.Health, rule)
}

// expression reads a CEL expression; a text that does not compile is told with its place in the text.
func (d *decoder) expression(into *string, compile func(string) error) func(string, any) {
	return func(path string, v any) {
		before := len(d.problems)
		d.text(into)(path, v)
		if len(d.problems) > before {
			return
		}
		if err := compile(*into); err != nil {
			d.problem(path, "%s", fmt.Errorf("compiling the expression: %w", err))
		}
	}
}
