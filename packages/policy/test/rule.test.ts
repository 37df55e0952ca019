import { describe, expect, test } from "vitest";
import { parseRules } from "../src/grants.ts";
import { invalidOption } from "./support/asking.ts";
import { formatRule } from "./support/rule-text.ts";

function canonical(text: string, action: "connect" | "listen" = "connect"): string {
  return formatRule(parseRules([text], action, "rules")[0]!);
}

describe("a rule to connect is read, and its canonical form", () => {
  test.each([
    ["*:*", "*:*"],
    ["db.internal:5432", "db.internal:5432"],
    ["DB.Internal.:5432", "db.internal:5432"],
    ["redis:6379", "redis.:6379"],
    ["private.:80", "private.:80"],
    ["own.:80", "own.:80"],
    ["*.svc.internal:80,443", "*.svc.internal:80,443"],
    ["*.XN--bcher-kva.example:80", "*.xn--bcher-kva.example:80"],
    ["10.0.0.0/8:*", "10.0.0.0/8:*"],
    ["10.0.0.1:80", "10.0.0.1:80"],
    ["10.0.0.1/32:80", "10.0.0.1:80"],
    ["0.0.0.0/0:443", "0.0.0.0/0:443"],
    ["[fd00::/8]:*", "[fd00::/8]:*"],
    ["[FD00:0::1]:443", "[fd00::1]:443"],
    ["[::ffff:10.0.0.1]:80", "10.0.0.1:80"],
    ["localhost:80", "loopback:80"],
    ["LOOPBACK:80", "loopback:80"],
    ["link-local:80", "link-local:80"],
    ["multicast:1", "multicast:1"],
    ["unspecified:1", "unspecified:1"],
    ["private:1", "private:1"],
    ["public:443", "public:443"],
    ["own:9000", "own:9000"],
    ["x:443,80,80-90,91", "x.:80-91,443"],
    ["x:80-90,82", "x.:80-90"],
    ["x:1-65535", "x.:1-65535"],
    ["unix:/run/x.sock", "unix:/run/x.sock"],
    ["unix:///run/x.sock", "unix:/run/x.sock"],
  ])("%s is %s", (text, form) => {
    expect(canonical(text)).toBe(form);
    expect(canonical(form)).toBe(form);
  });
});

describe("a rule to listen is read, and its canonical form", () => {
  test.each([
    ["8000-8999", "loopback:8000-8999"],
    ["80,443", "loopback:80,443"],
    ["0", "loopback:0"],
    ["*", "loopback:*"],
    ["localhost:80", "loopback:80"],
    ["0.0.0.0:443", "0.0.0.0:443"],
    ["[::]:443", "[::]:443"],
    ["10.0.0.0/8:8080", "10.0.0.0/8:8080"],
    ["*:8080", "*:8080"],
    ["unix:/run/x.sock", "unix:/run/x.sock"],
  ])("%s is %s", (text, form) => {
    expect(canonical(text, "listen")).toBe(form);
    expect(canonical(form, "listen")).toBe(form);
  });
});

describe("G6: what is no rule is refused with its place and its mend:", () => {
  test.each([
    ["", "the rule is empty"],
    ["  ", "the rule is empty"],
    ["10.0.0.1/8:80", "bits behind the prefix; write 10.0.0.0/8 for the range, or 10.0.0.1 for the address"],
    [
      "[fd00::1/8]:80",
      "bits behind the prefix; write [fd00::/8] for the range, or [fd00::1] for the address",
    ],
    ["10.0.0.0/33:80", "the number after / goes from 0 to 32"],
    ["10.0.0.0/08:80", "the number after / goes from 0 to 32"],
    ["[fd00::/129]:80", "the number after / goes from 0 to 128"],
    ["10.0.0/8:80", "what is before / is not an IPv4 address"],
    ["db.internal/24:80", "what is before / is not an IPv4 address"],
    ["[::ffff:10.0.0.0/104]:80", "write a range of IPv4 addresses as such"],
    ["[10.0.0.1]:80", "brackets are for IPv6"],
    ["[fd00::zz]:80", "not an IPv6 address"],
    ["[::1%lo]:80", "leave out the zone"],
    ["[fd00::]/8:80", "the brackets go around the whole"],
    ["[::1:80", "an IPv6 address needs brackets"],
    ["::1:80", "an IPv6 address needs brackets"],
    ["db.internal", "the ports are missing; write host:ports"],
    ["db.internal:", "a port is missing"],
    [":80", "the host is missing"],
    ["db.internal:0", "a port is a number from 1 to 65535"],
    ["db.internal:65536", "a port is a number from 1 to 65535"],
    ["db.internal:99999999999999999999", "a port is a number from 1 to 65535"],
    ["db.internal:80a", "ports are written as"],
    ["db.internal:-1", "a port is missing"],
    ["db.internal:080", "ports are written as"],
    ["db.internal:80,", "a port is missing"],
    ["db.internal:80-", "a port is missing"],
    ["db.internal:90-80", "the range of ports ends before it begins; write 80-90"],
    ["db.internal:1-2-3", "ports are written as"],
    ["db.internal:80, 443", "a rule has no spaces"],
    ["0177.0.0.1:80", "an IPv4 address is four decimal numbers"],
    ["127.1:80", "an IPv4 address is four decimal numbers"],
    ["0x7f.1:80", "an IPv4 address is four decimal numbers"],
    ["2130706433:80", "an IPv4 address is four decimal numbers"],
    ["*.10.0.0.1:80", "an address has no names below it"],
    ["a*.example:80", "a * stands alone"],
    ["*.*.example:80", "a * stands alone"],
    ["example.*:80", "a * stands alone"],
    ["*example:80", "a * stands alone"],
    ["*.:80", "the host is missing"],
    ["bücher.example:80", "xn--"],
    ["a..b:80", "empty"],
    ["-x.example:80", "hyphen"],
    ["foo.localhost:80", "write loopback:ports"],
    ["*.localhost:80", "write loopback:ports"],
    ["loopbak:80", "did you mean loopback?"],
    ["linklocal:80", "did you mean link-local?"],
    ["local-host:80", "did you mean localhost?"],
    ["privat:80", "did you mean private?"],
    ["any:80", "did you mean *?"],
    ["tcp://db.internal:80", "leave out the scheme"],
    ["unix:relative", "a socket is written unix:/run/name.sock"],
    ["unix:/a/../b", "a socket is written unix:/run/name.sock"],
  ])("%j: %s", (text, mend) => {
    const detail = invalidOption(() => parseRules(["x:1", text], "connect", "allowConnect"));
    expect(detail).toMatch(/^allowConnect\[1\] "/);
    expect(detail).toContain(mend);
  });

  test.each([
    ["db.internal:80", "a rule to listen begins with an address of this machine"],
    ["*.internal:80", "a rule to listen begins with an address of this machine"],
    ["own:80", "a rule to listen begins with an address of this machine"],
    ["public:80", "a rule to listen begins with an address of this machine"],
    ["9000-8000", "write 8000-9000"],
    ["70000", "a port is a number from 0 to 65535"],
    ["127.0.0.1", "the ports are missing"],
  ])("to listen, %j: %s", (text, mend) => {
    expect(invalidOption(() => parseRules([text], "listen", "allowListen"))).toContain(mend);
  });

  test("a hostile text is shown short and escaped", () => {
    const detail = invalidOption(() => parseRules([`\u001b[2J\u202e\n${"x".repeat(300)}`], "connect", "r"));
    expect(detail).toMatch(/^[ -~…]*$/);
    expect(detail.length).toBeLessThan(250);
  });

  test("a rule has at most 512 characters", () => {
    const rule = `x:${"1,".repeat(254)}10`;
    expect(canonical(rule)).toBe("x.:1,10");
    expect(invalidOption(() => canonical(`${rule}0`))).toContain("a rule has at most 512 characters");
  });

  test("a list has at most 1000 rules", () => {
    const rules = new Array<string>(1001).fill("x:1");
    expect(parseRules(rules.slice(1), "connect", "r")).toHaveLength(1000);
    expect(invalidOption(() => parseRules(rules, "connect", "r"))).toBe("r: a list has at most 1000 rules");
  });
});
