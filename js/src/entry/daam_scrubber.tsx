import { widget } from "../mount";
import { Scrubber } from "../views/scrubber";

export default widget(Scrubber, "Scrubber");
