package stack_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/lab/stack"
)

// TestMonitorPatterns says which lines of real nodes make which rules fire, all of them and no others. Every rule has a line.
func TestMonitorPatterns(t *testing.T) {
	t.Parallel()
	lines := []struct {
		log, line string
		fires     []string
	}{
		{"kmsg", "INFO: task containerd-shim:4711 blocked for more than 120 seconds.", []string{"RuntimeTaskHung", "TaskHung"}},
		{"kmsg", "INFO: task runc:[2:INIT]:815 blocked for more than 245 seconds.", []string{"RuntimeTaskHung", "TaskHung"}},
		{"kmsg", "INFO: task kubelet:77 blocked for more than 120 seconds.", []string{"RuntimeTaskHung", "TaskHung"}},
		{"kmsg", "INFO: task java:4711 blocked for more than 120 seconds.", []string{"TaskHung"}},
		{"kmsg", "INFO: task kworker/u8:2:311 blocked for more than 120 seconds.", []string{"TaskHung"}},
		{"kmsg", "watchdog: Watchdog detected hard LOCKUP on cpu 3", []string{"HardLockup"}},
		{"kmsg", "watchdog: BUG: soft lockup - CPU#1 stuck for 23s! [kworker/1:1:42]", []string{"SoftLockup"}},
		{"kmsg", "rcu: INFO: rcu_sched self-detected stall on CPU", []string{"RCUStall"}},
		{"kmsg", "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", []string{"RCUStall"}},
		{"kmsg", "Out of memory: Killed process 12 (web) total-vm:1kB, anon-rss:2kB, file-rss:0kB, shmem-rss:0kB, UID:0", []string{"OOMKilling"}},
		{"kmsg", "BUG: kernel NULL pointer dereference, address: 0000000000000008", []string{"KernelOops"}},
		{"kmsg", "Oops: general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP PTI", []string{"KernelOops"}},
		{"kmsg", "unregister_netdevice: waiting for eth0 to become free. Usage count = 1", []string{"UnregisterNetDevice"}},
		{"kmsg", "nf_conntrack: nf_conntrack: table full, dropping packet", []string{"ConntrackFull"}},
		{"kmsg", "{1}[Hardware Error]: event severity: fatal", []string{"FirmwareFatalError"}},
		{"kmsg", "{1}[Hardware Error]: event severity: corrected", []string{"HardwareErrorCorrected"}},
		{"kmsg", "EXT4-fs (nvme1n1): Remounting filesystem read-only", []string{"FilesystemIsReadOnly"}},
		{"kmsg", "BTRFS: error (device nvme1n1) in btrfs_commit_transaction:2327: errno=-5 IO failure, forced readonly", []string{"FilesystemIsReadOnly"}},
		{"kmsg", "XFS (nvme0n1p1): Corruption of in-memory data (0x8) detected at x+0x1/0x2 (fs/xfs/x.c:1).  Shutting down filesystem.", []string{"XfsHasShutDown"}},
		{"kmsg", "EXT4-fs error (device nvme1n1): ext4_lookup:1785: inode #2: comm ls: deleted inode referenced: 12", []string{"Ext4Error"}},
		{"kmsg", "Buffer I/O error on dev nvme1n1, logical block 0, async page read", []string{"IOError"}},
		{"kmsg", "nvme nvme1: I/O 12 QID 3 timeout, completion polled", []string{"NvmeTimeout"}},
		{"kmsg", "EXT4-fs (nvme1n1): mounted filesystem with ordered data mode. Quota mode: none.", nil},
		{"kmsg", "XFS (nvme0n1p1): Ending clean mount", nil},
		{"kmsg", "watchdog: Enabled. Permanently consumes one hw-PMU counter.", nil},
		{"journald", `msg="failed to pull" error="failed commit on ref \"layer\": unexpected commit digest sha256:0b, expected sha256:0a"`, []string{"CorruptLayer"}},
		{"journald", `msg="RunPodSandbox failed" error="rpc error: code = Unknown desc = failed to start sandbox \"a\": failed to create containerd task"`, []string{"ContainerStartFailed"}},
		{"journald", `error="write /var/lib/containerd/x: no space left on device"`, []string{"DiskFull"}},
		{"journald", `level=info msg="CreateContainer within sandbox \"a\" returns container id \"b\""`, nil},
	}
	rules := monitorRules(t)
	tried := map[string]bool{}
	for _, l := range lines {
		var fires []string
		for _, r := range rules {
			if r.log == l.log && r.pattern.MatchString(l.line) {
				fires = append(fires, r.reason)
				tried[r.pattern.String()] = true
			}
		}
		slices.Sort(fires)
		if diff := cmp.Diff(l.fires, slices.Compact(fires)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", l.line, diff)
		}
	}
	for _, r := range rules {
		if !tried[r.pattern.String()] {
			t.Errorf("no line makes the rule %s fire: %s", r.reason, r.pattern)
		}
	}
}

type monitorRule struct {
	log, reason string
	pattern     *regexp.Regexp
}

// monitorRules are the rules about logs, compiled as the program does it: a pattern has to match to the end.
func monitorRules(t *testing.T) []monitorRule {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(stack.Root(t), "addons/node-problem-detector/monitors/*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var out []monitorRule
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var config struct {
			Plugin string
			Rules  []struct{ Reason, Pattern string }
		}
		if err := json.Unmarshal(text, &config); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, r := range config.Rules {
			if r.Pattern != "" {
				out = append(out, monitorRule{config.Plugin, r.Reason, regexp.MustCompile(r.Pattern + `\z`)})
			}
		}
	}
	if len(out) == 0 {
		t.Fatal("the monitors have no patterns")
	}
	return out
}
