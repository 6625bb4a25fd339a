import { Scrubber } from "../views/scrubber";
import { widget } from "../mount";

export default widget(Scrubber, "Scrubber");
