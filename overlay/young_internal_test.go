package overlay

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// What was removed young is held for a tick of the clock at least, also when it comes just
// before a sweep, and not for long after.
func TestYoungFilesAreHeldForATick(t *testing.T) {
	hold := func(y *youngFiles) *openFile {
		fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		f := newOpenFile(fd, false)
		y.hold(f)
		return f
	}
	synctest.Test(t, func(t *testing.T) {
		var y youngFiles
		hold(&y)
		time.Sleep(clockTick - 1)
		late := hold(&y)
		time.Sleep(clockTick - 1)
		synctest.Wait()
		if late.refs.Load() == 0 {
			t.Error("it was let go before its time")
		}
		time.Sleep(2 * clockTick)
		synctest.Wait()
		if late.refs.Load() != 0 {
			t.Error("it is still held")
		}
		last := hold(&y)
		y.closeAll()
		if last.refs.Load() != 0 {
			t.Error("the end does not let go")
		}
	})
}
