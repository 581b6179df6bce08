package sops

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// dotenvStore reads KEY=VALUE lines, whose metadata are lines with the prefix sops_.
type dotenvStore struct{}

// eachLine calls do with every line, without its end, and the offset of its beginning and of the next one's.
func eachLine(body []byte, do func(line string, number, start, end int)) {
	at, number := 0, 1
	for line := range bytes.Lines(body) {
		do(strings.TrimSuffix(string(line), "\n"), number, at, at+len(line))
		at += len(line)
		number++
	}
}

func (dotenvStore) read(f *File) (map[string]any, *gitops.Error) {
	flat := map[string]string{}
	var failed *gitops.Error
	eachLine(f.body, func(line string, number, start, end int) {
		name, value, found := strings.Cut(line, "=")
		at := start + len(name) + 1
		switch {
		case line == "":
		case line[0] == '#':
			f.leaves = append(f.leaves, leaf{comments: [][]string{{line[1:]}}, comment: true, value: line[1:], line: number, start: start + 1, end: start + len(line)})
		case !found:
			failed = f.fail(number, "want KEY=VALUE")
		case strings.HasPrefix(name, "sops_"):
			flat[strings.TrimPrefix(name, "sops_")] = strings.ReplaceAll(value, `\n`, "\n")
			f.cuts = append(f.cuts, edit{start: start, end: end})
			if f.line == 0 {
				f.line = number
			}
		default:
			f.leaves = append(f.leaves, leaf{path: []string{name}, comments: [][]string{nil}, value: strings.ReplaceAll(value, `\n`, "\n"), line: number, start: at, end: start + len(line)})
		}
	})
	if failed != nil || flat["mac"] == "" {
		return nil, failed
	}
	f.comment()
	meta, err := unflatten(flat)
	if err != nil {
		return nil, f.fail(f.line, "its sops metadata cannot be read: %w", err)
	}
	return meta, nil
}

// comment gives every leaf the comments that stand directly before it.
func (f *File) comment() {
	var standing []string
	for i, l := range f.leaves {
		if l.comment {
			standing = append(standing, l.comments[0]...)
		}
		f.leaves[i].comments = [][]string{append([]string(nil), standing...)}
		if !l.comment {
			standing = nil
		}
	}
}

func (dotenvStore) quote(v any, _ string) string {
	return strings.ReplaceAll(valueText(v), "\n", `\n`)
}

func (dotenvStore) plain(p *Plain) ([]byte, error) {
	var out bytes.Buffer
	eachLine(p.Text, func(line string, _, _, _ int) {
		if line != "" {
			out.WriteString(line + "\n")
		}
	})
	return out.Bytes(), nil
}

// iniStore reads INI files as SOPS writes them: the metadata is a section "sops".
type iniStore struct{}

var (
	iniSection = regexp.MustCompile(`^\[([^\]]+)\]\s*$`)
	iniField   = regexp.MustCompile("^([^=:\\s\"`]+)(\\s*[=:][ \\t]*)(.*?)\\s*$")
)

func (iniStore) read(f *File) (map[string]any, *gitops.Error) {
	flat := map[string]string{}
	section := "DEFAULT"
	var failed *gitops.Error
	eachLine(f.body, func(line string, number, start, end int) {
		head := iniSection.FindStringSubmatch(line)
		field := iniField.FindStringSubmatch(line)
		mark := len(line) - len(strings.TrimLeft(line, ";# "))
		if head != nil {
			section = head[1]
		}
		switch {
		case section == "sops":
			f.cuts = append(f.cuts, edit{start: start, end: end})
			if f.line == 0 {
				f.line = number
			}
			if field != nil {
				flat[field[1]] = strings.ReplaceAll(unquoteINI(field[3]), `\n`, "\n")
			}
		case strings.TrimSpace(line) == "", head != nil:
		case line[0] == ';' || line[0] == '#':
			f.leaves = append(f.leaves, leaf{path: []string{section}, comments: [][]string{{line[mark:]}}, comment: true, value: line[mark:], line: number, start: start + mark, end: start + len(line)})
		case field == nil || strings.HasPrefix(field[3], `"""`):
			failed = f.fail(number, "want KEY = VALUE on one line")
		default:
			at := start + len(field[1]) + len(field[2])
			f.leaves = append(f.leaves, leaf{
				path: []string{section, field[1]}, comments: [][]string{nil}, value: unquoteINI(field[3]), line: number, start: at, end: at + len(field[3]),
			})
		}
	})
	if failed != nil || flat["mac"] == "" {
		return nil, failed
	}
	f.comment()
	meta, err := unflatten(flat)
	if err != nil {
		return nil, f.fail(f.line, "its sops metadata cannot be read: %w", err)
	}
	return meta, nil
}

func unquoteINI(s string) string {
	for _, quote := range []string{"`", `"`, "'"} {
		if len(s) > 1 && strings.HasPrefix(s, quote) && strings.HasSuffix(s, quote) {
			return s[1 : len(s)-1]
		}
	}
	return s
}

// quote writes what would be read as something else in quotes.
func (iniStore) quote(v any, _ string) string {
	said := valueText(v)
	switch {
	case strings.ContainsAny(said, "\n`"):
		return `"""` + said + `"""`
	case strings.ContainsAny(said, "#;"):
		return "`" + said + "`"
	case strings.TrimSpace(said) != said:
		return `"` + said + `"`
	}
	return said
}

func (iniStore) plain(p *Plain) ([]byte, error) {
	return append(bytes.TrimRight(p.Text, "\n"), '\n'), nil
}
