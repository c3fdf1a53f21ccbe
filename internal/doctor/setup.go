package doctor

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/nixnfsd/nixnfsd/internal/setup"
	"github.com/nixnfsd/nixnfsd/internal/shell"
	"github.com/nixnfsd/nixnfsd/mount"
	"github.com/nixnfsd/nixnfsd/mount/synthetic"
)

const runSetup = "run nixnfsd setup, with the flags that it was given then"

// setUp holds what is there against the receipts of setup. Root's own are not those of a user.
func (p *patient) setUp() {
	if p.BadReceipt != nil {
		p.add(ReceiptBroken, p.BadReceipt.Error(), "put it back from a backup, or move it away and run nixnfsd setup; uninstall then leaves what was there before")
	}
	if p.Machine == nil || p.BadReceipt != nil || !p.isSetUp() {
		return
	}
	fix := p.restore()
	p.half(fix)
	p.files(fix)
	if p.darwin() {
		p.synthetic(fix)
	}
}

// isSetUp reports whether setup has been here, for either of the two. Root has nothing set up of its
// own, and whose root's part is cannot be told.
func (s *Sight) isSetUp() bool {
	keeper, server := s.Setup.JobFiles()
	return s.Setup.UID != 0 && digestOf(s.Root, keeper)+digestOf(s.User, server) != ""
}

// Ours are the server's directories that a receipt may call its own, where there is one.
func (s *Sight) Ours() []string {
	if s.Machine == nil || !s.isSetUp() {
		return nil
	}
	return s.Setup.Ours(s.Machine)
}

// restore is what setup would do now, where its flags are those of then: it would write the
// server's file as its receipt says.
func (p *patient) restore() []setup.Step {
	_, server := p.Setup.JobFiles()
	blank := *p.Machine
	blank.Files = map[string][]byte{}
	whole, err := setup.New(p.Setup, &blank)
	if err != nil {
		return nil
	}
	now, err := setup.New(p.Setup, p.Machine)
	if err != nil {
		return nil
	}
	for _, s := range whole.Steps {
		if s.Path == server && fmt.Sprintf("%x", sha256.Sum256(s.Content)) == digestOf(p.User, server) {
			return now.Steps
		}
	}
	return nil
}

// digestOf is what a receipt says was written to a file, empty: nothing.
func digestOf(r setup.Receipt, file string) string {
	for _, c := range r.Changes {
		if c.Path == file {
			return c.Digest
		}
	}
	return ""
}

// half says that only one of the two is set up.
func (p *patient) half(fix []setup.Step) {
	keeper, server := p.Setup.JobFiles()
	root, user := digestOf(p.Root, keeper) != "", digestOf(p.User, server) != ""
	if root == user {
		return
	}
	missing := map[bool]string{true: "the server's", false: "the keeper's"}[root]
	p.add(SetupHalf, "setup was not done to its end, or a receipt of it was lost: it does not tell of "+missing+" part", runSetup, fix...)
}

// files says which of the files of setup are not as it wrote them.
func (p *patient) files(fix []setup.Step) {
	keeper, server := p.Setup.JobFiles()
	program := p.Setup.RootProgram()
	for _, file := range []string{program, keeper, server} {
		was := digestOf(p.Root, file)
		if file == server {
			was = digestOf(p.User, file)
		}
		switch now := p.Digests[file]; {
		case was == "":
		case now == "":
			p.add(SetupFileMissing, file+", which setup wrote, is not there", runSetup, fix...)
		case now != was:
			p.add(SetupFileChanged, file+" is not as setup wrote it", runSetup+"; uninstall leaves it as it is", fix...)
		case file == program && !p.sameProgram():
			p.add(RootProgramOld, "root's copy of the program, "+file+", is another one than this, "+p.Setup.Program, "run nixnfsd setup, if this is the one to use", fix...)
		}
	}
}

// sameProgram reports whether root's copy is of this program.
func (p *patient) sameProgram() bool {
	_, same := p.Machine.Files[p.Setup.RootProgram()]
	return same
}

// synthetic says whether macOS makes the mount point, and has made it.
func (p *patient) synthetic(fix []setup.Step) {
	name := strings.TrimPrefix(p.Setup.Export, "/")
	there := p.Machine.Point.Mount != nil || p.Machine.Point.Kind == setup.Directory
	switch listed := synthetic.Listed(name, p.Machine.Manifests); {
	case !listed:
		p.add(SyntheticMissing, "no synthetic entry has macOS make "+p.Setup.Export+" at its next start", runSetup, fix...)
	case synthetic.Owed(listed, there) == synthetic.RestartMakes:
		var steps []setup.Step
		for _, args := range synthetic.Activate() {
			steps = append(steps, setup.Step{Root: true, Run: args, Ignore: true, Why: "has it made now; one of the two does it"})
		}
		p.add(SyntheticInactive, p.Setup.Export+" has a synthetic entry and is not there", "restart the machine, or try: nixnfsd check --fix", steps...)
	}
}

// always are obstacles also where nothing is set up.
var always = [...]string{setup.OtherNix, setup.PointSymlink, setup.PointNotDirectory}

// obstacles takes over what would be in the way of setup. What is mounted, and who runs this, is
// told elsewhere or no problem.
func (p *patient) obstacles() {
	if p.Machine == nil {
		return
	}
	for _, o := range setup.Obstacles(p.Setup, p.Machine) {
		told := o.Name == setup.PointMounted || o.Name == setup.RunByRoot || p.has(o.Name)
		if told || !p.isSetUp() && !slices.Contains(always[:], o.Name) {
			continue
		}
		p.add(o.Name, o.What, o.Mend, p.obstacleFix(o)...)
	}
}

func (p *patient) obstacleFix(o mount.Problem) []setup.Step {
	if o.Name != setup.LooseDirectory {
		return nil
	}
	var steps []setup.Step
	for _, dir := range p.Machine.Loose {
		if p.Setup.MayTighten(p.Machine, dir) && strings.Contains(o.What, " "+dir+",") {
			steps = append(steps,
				run(true, "root's alone", "/bin/chown", "-h", "root", dir),
				setup.Step{Root: true, Path: dir, Narrow: 0o022, Why: "root's alone"})
		}
	}
	return steps
}

// shells says which start-up files are of another program.
func (p *patient) shells() {
	for _, file := range p.StaleHooks {
		p.add(ShellHookStale, file+" has nixnfsd's lines, and not those of this program", "have the lines written anew, or take out those between the two that name nixnfsd: "+shell.Quote(file))
	}
}
