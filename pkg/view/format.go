// Package view turns Plans, Events and Records into what people and programs read: text, JSON, YAML, Markdown, and live
// progress.
//
// Purpose: every surface (commands, web, comments) shows the same values in the same words. Inputs: values of plan and run,
// and Options. Outputs: bytes; progress sinks write to the stream they were given.
// Invariants: no decision is made here; nothing reads the environment, a clock or a terminal by itself; colour is never the
// only carrier of a meaning (a symbol and a word stand beside it); JSON and YAML are the stored documents, whatever the
// text shows; control characters in values reach no terminal.
package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/pkg/plan"
)

// Format is a way to print a value (-o).
type Format string

// The formats.
const (
	Text     Format = "text"
	JSON     Format = "json"
	YAML     Format = "yaml"
	Markdown Format = "markdown"
)

// ParseFormat reads the value of -o.
func ParseFormat(s string) (Format, error) {
	f := Format(s)
	if !slices.Contains([]Format{Text, JSON, YAML, Markdown}, f) {
		return "", fmt.Errorf("unknown output format %q: want text, json, yaml or markdown", s)
	}
	return f, nil
}

// Options say how text looks. The zero value is plain text without times relative to now.
type Options struct {
	// Color adds ANSI colours.
	Color bool
	// Verbose shows every edit in full and every object by itself.
	Verbose bool
	// Width is the terminal's; zero means that lines are not cut.
	Width int
	// Now makes times relative ("12m ago"); zero leaves them out.
	Now time.Time
	// Zone is where clock times are shown; nil means UTC.
	Zone *time.Location
	// Folder is the cluster's folder in the repository, for the approvals file.
	Folder string
}

// UseColor decides about colour: the flag (auto, always, never) wins over NO_COLOR (https://no-color.org), which wins over
// CLICOLOR_FORCE (https://bixense.com/clicolors), which wins over whether the stream is a terminal.
func UseColor(flag string, env func(string) string, terminal bool) (bool, error) {
	switch flag {
	case "always":
		return true, nil
	case "never":
		return false, nil
	case "auto", "":
	default:
		return false, fmt.Errorf("unknown colour mode %q: want auto, always or never", flag)
	}
	if env("NO_COLOR") != "" {
		return false, nil
	}
	if force := env("CLICOLOR_FORCE"); force != "" && force != "0" {
		return true, nil
	}
	return terminal && env("TERM") != "dumb", nil
}

// Exit is the exit code about plans: 0 nothing left to do, 1 something left to do, 2 could not tell.
func Exit(plans ...plan.Plan) int {
	worst := plan.Nothing
	for _, p := range plans {
		worst = max(worst, p.Left())
	}
	return int(worst)
}

// marshal prints values as documents: several JSON documents follow one another, several YAML documents are divided.
func marshal[T any](f Format, values ...T) ([]byte, error) {
	var b bytes.Buffer
	for i, v := range values {
		var body bytes.Buffer
		e := json.NewEncoder(&body)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(v); err != nil {
			return nil, fmt.Errorf("encoding %T: %w", v, err)
		}
		if f == JSON {
			b.Write(body.Bytes())
			continue
		}
		doc, err := yaml.JSONToYAML(body.Bytes())
		if err != nil {
			return nil, fmt.Errorf("encoding %T: %w", v, err)
		}
		if i > 0 {
			b.WriteString("---\n")
		}
		b.Write(doc)
	}
	return b.Bytes(), nil
}
