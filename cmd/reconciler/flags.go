package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/view"
)

// flags are shared by the commands that look at a repository.
type flags struct {
	repository string
	rev        string
	only       []string
	output     string
	color      string
	progress   string
	ledger     string
	verbose    bool
	exitZero   bool
	ageKeys    []string
	git        gitFlags
	charts     chartFlags
}

// gitFlags name the files that credentials are read from, again whenever they change. Credentials are never flags:
// command lines are visible to every process.
type gitFlags struct {
	username, passwordFile, tokenFile, sshKeyFile, knownHostsFile, caFile string
}

// chartFlags name the files that fetching Helm charts may need, read again for every fetch.
type chartFlags struct{ loginFile, caFile string }

func (f *flags) register(root *cobra.Command) {
	p := root.PersistentFlags()
	p.StringVarP(&f.repository, "repository", "C", "", "folder or URL of the repository (default: the one around the working directory)")
	p.StringVar(&f.rev, "rev", "", "branch, tag, semver range (such as \">=1.2 <2\") or commit to follow (default: the remote's HEAD, or the folder as it is)")
	p.StringVarP(&f.output, "output", "o", "text", "text, json, yaml or markdown")
	p.StringVar(&f.color, "color", "auto", "auto, always or never")
	p.StringVar(&f.ledger, "ledger", "", "where inventory and history are: file:DIR, memory or kubernetes[:NAMESPACE] (default: file:$XDG_STATE_HOME/reconciler)")
	p.BoolVarP(&f.verbose, "verbose", "v", false, "show every edit, and what the tool does")
	p.BoolVar(&f.exitZero, "exit-zero", false, "exit 0 instead of 1 when something is left to do")
	p.StringSliceVar(&f.ageKeys, "age-key-file", nil, "file with age identities for files encrypted with SOPS, or a folder of such files (also: $SOPS_AGE_KEY_FILE, $SOPS_AGE_KEY)")
	p.StringVar(&f.git.username, "git-username", "", "user of the repository")
	p.StringVar(&f.git.passwordFile, "git-password-file", "", "file with the password")
	p.StringVar(&f.git.tokenFile, "git-token-file", "", "file with a bearer token")
	p.StringVar(&f.git.sshKeyFile, "git-ssh-key-file", "", "file with the private key")
	p.StringVar(&f.git.knownHostsFile, "git-known-hosts-file", "", "file with the host keys of ssh servers (default: ~/.ssh/known_hosts)")
	p.StringVar(&f.git.caFile, "git-ca-file", "", "file with further certificate authorities for https")
	p.StringVar(&f.charts.loginFile, "chart-login-file", "", "file with logins of chart repositories, as docker's config.json")
	p.StringVar(&f.charts.caFile, "chart-ca-file", "", "file with further certificate authorities of chart repositories")
}

// selecting adds --only to a command.
func (f *flags) selecting(c *cobra.Command) *cobra.Command {
	c.Flags().StringSliceVar(&f.only, "only", nil, "infra, addons, or refs such as k8s/apps/Deployment/shop/web")
	return c
}

// progressing adds --progress to a command.
func (f *flags) progressing(c *cobra.Command) *cobra.Command {
	c.Flags().StringVar(&f.progress, "progress", "", "auto, tty, plain, json or quiet (default: $RECONCILER_PROGRESS, else auto)")
	return c
}

// format reads -o.
func (f *flags) format() (view.Format, error) { return view.ParseFormat(f.output) }

// policies reads --only.
func (f *flags) policies() ([]plan.Policy, error) {
	var refs []gitops.Ref
	var domains []gitops.Domain
	var trouble []error
	for _, only := range f.only {
		switch only {
		case "infra":
			domains = append(domains, gitops.EKS)
		case "addons":
			domains = append(domains, gitops.K8s)
		default:
			ref, err := gitops.ParseRef(only)
			if err != nil {
				trouble = append(trouble, fmt.Errorf("--only: %w", err))
			}
			refs = append(refs, ref)
		}
	}
	if len(domains)+min(len(refs), 1) > 1 {
		trouble = append(trouble, errors.New("--only: name infra, or addons, or refs, not a mixture"))
	}
	switch {
	case len(trouble) > 0:
		return nil, errors.Join(trouble...)
	case len(domains) == 1:
		return []plan.Policy{plan.OnlyDomain(domains[0])}, nil
	case len(refs) > 0:
		return []plan.Policy{plan.OnlyRefs(refs...)}, nil
	}
	return nil, nil
}

// mode reads --progress and its environment variable.
func (a *app) mode() (view.Mode, error) {
	text := a.flags.progress
	if text == "" {
		text = a.getenv("RECONCILER_PROGRESS")
	}
	if text == "" {
		text = "auto"
		if a.getenv("ACCESSIBLE") != "" {
			text = "plain"
		}
	}
	return view.ParseMode(text)
}

// location is the folder or URL of the repository: -C, or the closest folder upwards that is a git checkout or holds a
// clusters folder.
func (a *app) location() (string, error) {
	if a.repository != "" {
		return a.repository, nil
	}
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the working directory: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		for _, mark := range []string{".git", "clusters"} {
			if _, err := os.Stat(filepath.Join(dir, mark)); err == nil {
				return dir, nil
			}
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("finding the repository: neither %s nor a folder above it is a git checkout or has a clusters folder\n  try: reconciler -C FOLDER-OR-URL", start)
		}
	}
}

// unmatched are the arguments that select none of the folders.
func unmatched(args, folders []string) []string {
	var out []string
	for _, arg := range args {
		if !slices.ContainsFunc(folders, picker([]string{arg})) {
			out = append(out, arg)
		}
	}
	return out
}

// picker tells which cluster folders the arguments select: a folder as in git ("clusters/dev"), a path from the working
// directory, or the bare name.
func picker(args []string) func(folder string) bool {
	if len(args) == 0 {
		return nil
	}
	return func(folder string) bool {
		for _, arg := range args {
			clean := strings.TrimSuffix(filepath.ToSlash(filepath.Clean(arg)), "/")
			if clean == folder || strings.HasSuffix(folder, "/"+clean) || strings.HasSuffix(clean, "/"+folder) {
				return true
			}
		}
		return false
	}
}
