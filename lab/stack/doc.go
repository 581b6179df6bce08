// Package stack proves the content of addons/ and apps/ on a real API server.
//
// Input: the folders addons/ and apps/ of the repository, and the programs that hack/programs.sh builds. Output: test failures that say
// which base, object, permission or log line is wrong. Invariants: bases go to the cluster through the product's own
// renderer, planner and applier; programs run with what the pods in the cluster say (arguments, environment, files, service
// account) and with nothing else but the differences that a test lists; nothing outlives the test.
//
// A test of an addon goes like this:
//
//	c := stack.Start(t, stack.Options{})
//	c.Base(t, "addons/exporter", "cluster-facts")            // applied, Ready, and the second diff is empty
//	port := stack.FreePort(t)
//	p := c.Program(t, stack.Spec{
//		Path:     labtest.Tool(t, "exporter"),
//		Workload: "Deployment monitoring/exporter",
//		Set:      map[string]string{"--listen": fmt.Sprintf("127.0.0.1:%d", port)},     // was in the manifest
//		Add:      []string{"--kubeconfig=" + c.Kubeconfig(t, "monitoring/exporter")},   // was not
//	})
//	p.Await(t, "synced")                                     // its log; "forbidden" in it fails the test
//	c.LeastPrivilege(t, "monitoring/exporter", map[string]string{
//		"patch events": "only when a target fails",          // granted, not used here, and why that is right
//	})
//
// Programs that cannot be built here are replayed: Config gives a client with the rights of their service account, and what it
// asks counts as used.
//
// TestBases applies, waits for, diffs and prunes every base that it finds; a new folder needs no new test for that.
package stack
