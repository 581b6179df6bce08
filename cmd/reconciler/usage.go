package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eks-gitops/reconciler/pkg/view"
)

// strict makes the commands say what they want, and how to go on, when they are called in another way.
func (a *app) strict(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w\n  try: %s --help", err, c.CommandPath())
	})
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		_, err := view.UseColor(a.color, a.getenv, a.tty)
		return err
	}
	root.Args = cobra.NoArgs
	root.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	each(root, func(c *cobra.Command) {
		check := c.Args
		if check != nil {
			c.Args = func(c *cobra.Command, args []string) error {
				if check(c, args) == nil {
					return nil
				}
				return misused(c, args)
			}
		}
		if c.HasSubCommands() && c.RunE == nil {
			c.RunE = misused
		}
	})
}

func each(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, sub := range c.Commands() {
		each(sub, do)
	}
}

// misused says what a command wants.
func misused(c *cobra.Command, args []string) error {
	path := c.CommandPath()
	if c.HasSubCommands() {
		var names []string
		for _, sub := range c.Commands() {
			names = append(names, sub.Name())
		}
		if len(args) == 0 {
			return fmt.Errorf("%s wants one of %s\n  try: %s --help", path, strings.Join(names, ", "), path)
		}
		c.SuggestionsMinimumDistance = 2
		try := path + " --help"
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			try = path + " " + near[0]
		}
		return fmt.Errorf("unknown command %q for %s: want one of %s\n  try: %s", args[0], path, strings.Join(names, ", "), try)
	}
	_, wants, _ := strings.Cut(c.Use, " ")
	if wants == "" {
		wants = "no argument"
	}
	got := "none"
	if len(args) > 0 {
		got = strings.Join(args, " ")
	}
	return fmt.Errorf("%s wants %s and got %s\n  try: %s --help", path, wants, got, path)
}
