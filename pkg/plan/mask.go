package plan

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Mask gives the fields that patterns name (with [*] for the items of lists) another value, whatever they hold. The tree itself is not changed; it is returned
// as it is when there is no pattern. A pattern that cannot be read masks everything: it is a bug, and secrets are at stake.
func Mask(t gitops.Tree, patterns []string, with func(any) any) gitops.Tree {
	if t == nil || len(patterns) == 0 {
		return t
	}
	out := gitops.Clone(t)
	for _, text := range patterns {
		p, err := ParsePattern(text)
		if err != nil {
			for name, v := range out {
				out[name] = with(v)
			}
			return out
		}
		mask(out, p.steps, with)
	}
	return out
}

// mask changes v and returns what takes its place.
func mask(v any, steps []step, with func(any) any) any {
	if v == nil {
		return nil
	}
	if len(steps) == 0 {
		return with(v)
	}
	s := steps[0]
	switch v := v.(type) {
	case gitops.Tree:
		for name := range v {
			if s.every || s.name == name {
				v[name] = mask(v[name], steps[1:], with)
			}
		}
		return v
	case []any:
		if !s.every {
			break
		}
		for i := range v {
			v[i] = mask(v[i], steps[1:], with)
		}
		return v
	}
	// The value has another shape than the one that was marked: it may still be, or hold, the secret.
	return with(v)
}

// MaskEdit is Mask for the values of an edit, whose path says where in the object they are.
func MaskEdit(e Edit, patterns []string, with func(any) any) Edit {
	at, err := parsePath(e.Path)
	for _, text := range patterns {
		p, failed := ParsePattern(text)
		if err != nil || failed != nil {
			e.Before, e.After = maskValue(e.Before, nil, with), maskValue(e.After, nil, with)
			return e
		}
		if rest, meet := beyond(at, p.steps); meet {
			e.Before, e.After = maskValue(e.Before, rest, with), maskValue(e.After, rest, with)
		}
	}
	return e
}

// beyond is what is left of a pattern below a path; nothing is left when the pattern names the path, or something around it. They
// do not meet when they name different things.
func beyond(path, pattern []step) (rest []step, meet bool) {
	for i := range min(len(path), len(pattern)) {
		if !pattern[i].every && pattern[i].name != path[i].name {
			return nil, false
		}
	}
	return pattern[min(len(path), len(pattern)):], true
}

func maskValue(v any, rest []step, with func(any) any) any {
	return mask(gitops.Clone(gitops.Tree{"": v})[""], rest, with)
}

// Hush takes the values of fields, as patterns name them, out of a text that somebody else wrote about an object.
func Hush(text string, patterns []string, objects ...gitops.Tree) string {
	if text == "" || len(patterns) == 0 {
		return text
	}
	var values []string
	for _, t := range objects {
		Mask(t, patterns, func(v any) any {
			values = append(append(values, strings.Fields(fmt.Sprint(v))...), fmt.Sprint(v))
			return v
		})
	}
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	return Without(text, values)
}

// Without takes values, the longest first, out of a text: wherever they are, and those of fewer than six letters where they stand as
// words. One or two letters are no secret, and taking them out would take the sense out of every text.
func Without(text string, values []string) string {
	const part, word = 6, 3
	for _, v := range values {
		switch {
		case len(v) >= part:
			text = strings.ReplaceAll(text, v, hidden)
		case len(v) >= word:
			text = withoutWord(text, v)
		}
	}
	return text
}

// hidden stands for a value in a text.
const hidden = "…"

func withoutWord(text, v string) string {
	var out strings.Builder
	for at := 0; ; {
		i := strings.Index(text[at:], v)
		if i < 0 {
			out.WriteString(text[at:])
			return out.String()
		}
		before, _ := utf8.DecodeLastRuneInString(text[:at+i])
		after, _ := utf8.DecodeRuneInString(text[at+i+len(v):])
		out.WriteString(text[at : at+i])
		at += i + len(v)
		if wordly(before) || wordly(after) {
			out.WriteString(v)
		} else {
			out.WriteString(hidden)
		}
	}
}

func wordly(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }
