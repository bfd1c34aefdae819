# SPDX-License-Identifier: Apache-2.0
# C text to FILE:LINE:CODE: `/* */` comments, strings and character constants come out empty.
FNR == 1 { comment = 0 }
{
    rest = $0
    out = ""
    while (rest != "") {
        if (comment) {
            end = index(rest, "*/")
            if (!end) break
            rest = substr(rest, end + 2)
            comment = 0
        } else if (match(rest, /\/\*|\/\/|"|'/)) {
            out = out substr(rest, 1, RSTART - 1)
            mark = substr(rest, RSTART, RLENGTH)
            rest = substr(rest, RSTART + RLENGTH)
            if (mark == "/*") {
                comment = 1
                out = out " "
            } else if (mark == "//") {
                out = out "//"
                break
            } else {
                out = out mark mark
                while (rest != "" && substr(rest, 1, 1) != mark)
                    rest = substr(rest, substr(rest, 1, 1) == "\\" ? 3 : 2)
                rest = substr(rest, 2)
            }
        } else {
            out = out rest
            rest = ""
        }
    }
    print FILENAME ":" FNR ":" out
}
