package eks

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// TestAddonsInRounds: how far a round goes with an addon, what the addon has in it, and when it gets that. Offers are written as
// VERSION:MINORS, with ! after a default.
func TestAddonsInRounds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		file, offers string
		// live is the control plane's minor, the file wants 36, and nodes are where the control plane is; the addon is at v1.
		live int
		want string
	}{
		"it runs on all":                   {"", "v1:34,35,36 v2:36!", 34, "to 36"},
		"one before":                       {"", "v1:34 v2:34,35,36 v3:35,36", 34, "to 36, before at v2"},
		"the default of several":           {"", "v1:34 v2:34,35,36! v3:34,35,36", 34, "to 36, before at v2"},
		"the newest of several":            {"", "v1:34 v2:34,35,36 v10:34,35,36", 34, "to 36, before at v10"},
		"latest is no default":             {"latest", "v1:34 v2:34,35,36! v3:34,35,36", 34, "to 36, before at v3"},
		"latest waits its turn":            {"latest", "v1:34,35,36 v2:34,35,36", 34, "to 36, stays at v1"},
		"none on both sides":               {"", "v1:34 v2:35 v3:36", 34, "to 35, after at v2"},
		"as far as it runs":                {"", "v1:34,35 v2:36", 34, "to 35"},
		"then one after":                   {"", "v1:34,35 v2:36", 35, "to 36, after at v2"},
		"a gap":                            {"", "v1:34 v2:36", 34, "to 36, after at v2"},
		"nothing fits":                     {"", "v1:34", 34, "to 36"},
		"pinned, and it runs":              {"v1", "v1:34,35,36 v2:36", 34, "to 36"},
		"another is pinned, which fits":    {"v2", "v1:34 v2:34,35,36 v3:34,35,36", 34, "to 36, before at v2"},
		"another is pinned, which is next": {"v2", "v1:34,35,36 v2:36", 34, "to 36"},
		"what is pinned comes later":       {"v2", "v1:34,35 v2:36", 34, "to 35, stays at v1"},
		"the control plane is there":       {"", "v1:34 v2:36", 36, "to 36, after at v2"},
		"withdrawn":                        {"", "v2:34,35,36", 34, "to 36, before at v2"},
		"withdrawn, and it is there":       {"", "v2:34,35,36", 36, "to 36"},
		"nothing is offered":               {"", "", 34, "to 36"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := mustLoad(t, bare+"addons: [{name: coredns, version: \""+tt.file+"\"}]\nnodeGroups: [{name: batch}]\n")
			w := worldOf(t, cfg)
			w.Cluster.Version = aws.String(minorName(tt.live))
			w.Groups["batch"].Recorded = with(w.Groups["batch"].Recorded, "version", minorName(min(tt.live, 35)))
			w.Addons["coredns"] = &ekstypes.Addon{AddonName: aws.String("coredns"), AddonVersion: aws.String("v1"), Status: ekstypes.AddonStatusActive}
			w.Preflight = &preflight{Addons: map[string][]addonVersion{"coredns": offersOf(tt.offers)}}
			cfg = cfg.paced(w)
			got := fmt.Sprintf("to %d", cfg.round.goal)
			if m, ok := cfg.move("coredns"); ok {
				got += fmt.Sprintf(", %s at %s", map[[2]bool]string{{true, false}: "stays", {false, true}: "before", {}: "after"}[[2]bool{m.stays, m.before}], m.version)
			}
			if got != tt.want {
				t.Errorf("it goes %s, want %s", got, tt.want)
			}
			cfg.inOrder(t)
		})
	}
}

// inOrder asks that what moves is ordered as it says.
func (c *Config) inOrder(t *testing.T) {
	t.Helper()
	needs := map[gitops.Ref][]gitops.Ref{}
	for _, w := range c.wants() {
		needs[w.ref] = w.needs
	}
	cluster, addon, nodes := c.ref(KindCluster, "dev"), c.ref(KindAddon, "coredns"), c.ref(KindNodegroup, "batch")
	m, moves := c.move("coredns")
	moves = moves && !m.stays
	for _, tt := range []struct {
		of, on gitops.Ref
		want   bool
	}{{cluster, addon, moves && m.before}, {addon, cluster, !m.before || !moves}, {nodes, addon, moves && !m.before}, {nodes, cluster, true}} {
		if got := slices.Contains(needs[tt.of], tt.on); got != tt.want {
			t.Errorf("%s needs %s: %v", tt.of.Label(), tt.on.Label(), got)
		}
	}
}

func offersOf(text string) []addonVersion {
	var out []addonVersion
	for word := range strings.FieldsSeq(text) {
		version, minors, _ := strings.Cut(word, ":")
		v := addonVersion{Version: version}
		for m := range strings.SplitSeq(strings.TrimSuffix(minors, "!"), ",") {
			v.Minors = append(v.Minors, minorOf("1."+m))
		}
		if strings.HasSuffix(minors, "!") {
			v.Defaults = []int{36}
		}
		out = append(out, v)
	}
	return out
}
